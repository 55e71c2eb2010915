"""Records beside the standard library's own classes, made of the same source: what can be seen of both is the same."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
import types
import typing
from collections.abc import Callable

import pytest

from warmboot import records
from warmboot.memmap.ranges import Range
from warmboot.placement.options import PlaceOptions
from warmboot.uapi import LoadRequest, Readable, Segment

_SOURCE = '''
from __future__ import annotations
from WHERE import dataclass, field

@dataclass(frozen=True, slots=True)
class Plain:
    """One."""
    a: int
    b: str = "b"
    c: list[int] = field(default_factory=list)
    d: object = field(default=4, compare=False)

    def twice(self) -> int:
        return 2 * self.a

    @property
    def half(self) -> int:
        return self.a // 2

@dataclass(frozen=True, slots=True, order=True)
class Ordered:
    """Two."""
    a: int
    b: int = 0

    def __post_init__(self) -> None:
        if self.b < 0:
            raise ValueError("negative")

@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Three."""
    a: int
    b: tuple[int, ...] = ()

@dataclass(frozen=True, slots=True)
class Empty:
    """Four."""

    def __str__(self) -> str:
        return "nothing"
'''
_TUPLES = '''
from __future__ import annotations
from WHERE import NamedTuple

class Point(NamedTuple):
    """One."""
    x: int
    y: int = 2
    name: str = ""

    @property
    def both(self) -> int:
        return self.x + self.y

class More(Point):
    """Of another."""
    __slots__ = ()

    def third(self) -> str:
        return self.name
'''


def _module(source: str, where: str) -> types.ModuleType:
    """A fresh one, in sys.modules, as pickle looks there."""
    module = sys.modules["records_of_test"] = types.ModuleType("records_of_test")
    exec(compile(source.replace("WHERE", where), module.__name__, "exec"), vars(module))
    return module


def _warm(module: types.ModuleType) -> types.ModuleType:
    """The same after so many instances that what is compiled only then is."""
    for _ in range(5):
        module.Plain(1), module.Ordered(1), module.Named(a=1), module.Empty()
    return module


def _seen(act: Callable[[typing.Any], object], module: types.ModuleType) -> str:
    """What comes of it, as text."""
    try:
        return repr(act(module))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _assign(value: object) -> None:
    value.a = 5  # type: ignore[attr-defined]


def _matched(m: types.ModuleType) -> object:
    match m.Ordered(3, 4):
        case m.Ordered(a, b):
            return a, b
    return None


_ACTS: list[Callable[[typing.Any], object]] = [
    lambda m: m.Plain(1),
    lambda m: m.Plain(1, "x", [2], d=3),
    lambda m: m.Plain(a=1, c=[5]).c,
    lambda m: m.Plain(1).c is m.Plain(1).c,
    lambda m: m.Plain(),
    lambda m: m.Plain(1, 2, 3, 4, 5),
    lambda m: m.Plain(1, z=5),
    lambda m: (m.Plain(4).twice(), m.Plain(4).half),
    lambda m: m.Plain(1, "x", d=1) == m.Plain(1, "x", d=2),
    lambda m: m.Plain(1) == m.Plain(2),
    lambda m: m.Plain(1) == 1,
    lambda m: m.Plain(1) != m.Ordered(1),
    lambda m: hash(m.Plain(1)),
    lambda m: hash(m.Ordered(1)) == hash(m.Ordered(1, 0)),
    lambda m: len({m.Ordered(1), m.Ordered(1, 0), m.Ordered(2)}),
    lambda m: sorted([m.Ordered(2, 1), m.Ordered(1, 5), m.Ordered(2, 0)]),
    lambda m: (m.Ordered(1) < m.Ordered(2), m.Ordered(1) <= m.Ordered(1), m.Ordered(1) > m.Ordered(2)),
    lambda m: m.Ordered(1) >= m.Ordered(2),
    lambda m: m.Plain(1) < m.Plain(2),
    lambda m: m.Ordered(1) < 3,
    lambda m: m.Ordered(1, -1),
    lambda m: m.Named(1),
    lambda m: m.Named(a=1, b=(2,)),
    lambda m: m.Named(b=()),
    lambda m: (m.Empty() == m.Empty(), str(m.Empty()), m.Empty(), hash(m.Empty()) == hash(m.Empty())),
    lambda m: m.Empty(1),
    lambda m: _assign(m.Plain(1)),
    lambda m: delattr(m.Plain(1), "a"),
    lambda m: m.Plain(1).__dict__,
    lambda m: (
        m.Plain.__slots__,
        m.Plain.__match_args__,
        m.Named.__match_args__,
        m.Plain.__qualname__,
        m.Plain.__doc__,
    ),
    lambda m: [(each.name, each.type, each.compare, each.kw_only) for each in dataclasses.fields(m.Plain)],
    lambda m: [(each.name, each.kw_only) for each in dataclasses.fields(m.Named(a=1))],
    lambda m: dataclasses.asdict(m.Plain(1, c=[1, 2])),
    lambda m: dataclasses.replace(m.Plain(1), b="z"),
    lambda m: dataclasses.is_dataclass(m.Empty),
    lambda m: m.Plain.__dataclass_params__.frozen,
    lambda m: typing.get_type_hints(m.Named),
    lambda m: pickle.loads(pickle.dumps(m.Plain(1, c=[7]))),
    lambda m: copy.deepcopy(m.Plain(1, c=[7])),
    lambda m: copy.copy(m.Ordered(1, 2)),
    _matched,
]
_TUPLE_ACTS: list[Callable[[typing.Any], object]] = [
    lambda m: m.Point(1),
    lambda m: m.Point(1, name="n"),
    lambda m: m.Point(),
    lambda m: m.Point(1, 2, 3, 4),
    lambda m: (m.Point(3).x, m.Point(3).both, tuple(m.Point(3)), len(m.Point(1)), m.Point(1)[1]),
    lambda m: m.Point(1) == (1, 2, ""),
    lambda m: (hash(m.Point(1)) == hash((1, 2, "")), m.Point(1) < m.Point(2), isinstance(m.Point(1), tuple)),
    lambda m: (m.Point._fields, m.Point._field_defaults, m.Point.__match_args__, m.Point.__doc__),
    lambda m: (m.Point(1)._replace(y=9), m.Point(1)._asdict(), m.Point._make([1, 2, "c"])),
    lambda m: m.Point(1)._replace(z=9),
    lambda m: setattr(m.Point(1), "x", 2),
    lambda m: setattr(m.Point(1), "other", 2),
    lambda m: pickle.loads(pickle.dumps(m.Point(1, name="p"))),
    lambda m: copy.copy(m.Point(1)),
    lambda m: (m.More(1, name="n"), m.More(1, 2, "t").third(), m.More._fields),
]


@pytest.mark.parametrize("prepare", [lambda module: module, _warm], ids=["first", "later"])
@pytest.mark.parametrize("number", range(len(_ACTS)))
def test_as_dataclasses(number: int, prepare: Callable[[types.ModuleType], types.ModuleType]) -> None:
    ours = _seen(_ACTS[number], prepare(_module(_SOURCE, "warmboot.records")))
    theirs = _seen(_ACTS[number], prepare(_module(_SOURCE, "dataclasses")))
    assert ours == theirs


@pytest.mark.parametrize("number", range(len(_TUPLE_ACTS)))
def test_as_named_tuples(number: int) -> None:
    ours = _seen(_TUPLE_ACTS[number], _module(_TUPLES, "warmboot.records"))
    theirs = _seen(_TUPLE_ACTS[number], _module(_TUPLES, "typing"))
    assert ours == theirs


@pytest.mark.parametrize(
    "decorated",
    [
        lambda: records.dataclass(frozen=False, slots=True)(type("A", (), {})),
        lambda: records.dataclass(frozen=True, slots=True)(type("A", (int,), {"__annotations__": {"a": "int"}})),
        lambda: records.dataclass(frozen=True, slots=True)(type("A", (), {"__annotations__": {"a": "ClassVar[int]"}})),
    ],
)
def test_what_is_not_supported_is_refused(decorated: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r"use the standard library's dataclass"):
        decorated()


def test_the_projects_own_classes_are_such() -> None:
    options = records.replace(PlaceOptions(), command_line="quiet")
    assert options.command_line == "quiet"
    assert options == dataclasses.replace(options)
    assert [each.name for each in dataclasses.fields(Range)] == ["start", "end"]
    segment = Segment(Readable.of(b"x"), 1, 0x1000, 0x1000)
    request = LoadRequest(0x1000, (segment,))
    assert dataclasses.replace(request, entry=2).segments == (segment,)
    assert segment._replace(mem=0x2000).end == 0x3000


def test_making_a_class_imports_nothing() -> None:
    code = """
import sys
before = set(sys.modules)
from warmboot.records import dataclass, NamedTuple
@dataclass(frozen=True, slots=True)
class A:
    a: int
    __annotations__ = {"a": "int"}
class B(NamedTuple):
    __annotations__ = {"b": "int"}
assert (A(1) == A(1), B(2).b, repr(A(3))) == (True, 2, "A(a=3)")
print(sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    new = {name for name in eval(done.stdout) if name.partition(".")[0] != "warmboot"}
    assert new <= {"__future__", "_collections", "_operator", "operator"}

"""Frozen dataclasses with slots that cost next to nothing until they are made: for what short-lived commands import.

`dataclasses` compiles six methods for each class when its module is imported, and imports `inspect`, `re` and more for
itself: on the way of `kexec -l` that was a third of its processor time. Here the methods are common to all classes, and
`__init__` alone is compiled, where more than a few instances are made. What `dataclasses` says of a class (`fields`,
`replace`, `asdict`) is found out when it is asked. Type checkers see the standard library's own.
"""

from __future__ import annotations

from _collections import _tuplegetter  # type: ignore[import-not-found]  # what collections.namedtuple takes
from operator import attrgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from dataclasses import dataclass, field, replace
    from typing import Any, NamedTuple, Protocol

__all__ = ["NamedTuple", "Protocol", "dataclass", "field", "replace"]

# ruff: noqa: ANN401, PLC0415 - values of any type; what only a few classes need is imported there

_MISSING: Any = object()
_FEW = 3  # instances, for which nothing is compiled


class _Field:
    """What `field` was told of a field."""

    __slots__ = ("compare", "default", "factory")

    def __init__(self, default: Any, factory: Callable[[], Any] | None, compare: bool) -> None:
        self.default, self.factory, self.compare = default, factory, compare


class _Record:
    """How a class was made: its fields by name, in order, and the options of the decorator that are not fixed."""

    __slots__ = ("fields", "key", "kw_only", "order")

    def __init__(self, fields: dict[str, _Field], order: bool, kw_only: bool) -> None:
        self.fields, self.order, self.kw_only = fields, order, kw_only
        names = [name for name, each in fields.items() if each.compare]
        self.key: Callable[[Any], Any] = attrgetter(*names) if names else _no_key


def _no_key(_: object) -> tuple[()]:
    return ()


def _field(*, default: Any = _MISSING, default_factory: Callable[[], Any] | None = None, compare: bool = True) -> Any:
    """As `dataclasses.field`."""
    return _Field(default, default_factory, compare)


def _dataclass(*, frozen: bool, slots: bool, order: bool = False, kw_only: bool = False) -> Callable[[type], type]:
    """As `dataclasses.dataclass`, for classes without bases. Raises TypeError for what is not supported here."""
    if not (frozen and slots):
        raise TypeError("a record is frozen and has slots: use the standard library's dataclass")

    def make(cls: type) -> type:
        return _made(cls, order, kw_only)

    return make


def _made(cls: type, order: bool, kw_only: bool) -> type:
    """The class again, with slots for its fields and the common methods."""
    if cls.__bases__ != (object,):
        raise TypeError("a record has no bases: use the standard library's dataclass")
    names = {name: value for name, value in vars(cls).items() if name not in {"__dict__", "__weakref__"}}
    fields: dict[str, _Field] = {}
    for name, kind in cls.__annotations__.items():
        if kind.startswith(("ClassVar", "KW_ONLY", "InitVar")):
            raise TypeError("a record has fields alone: use the standard library's dataclass")
        given = names.pop(name, _MISSING)
        fields[name] = given if isinstance(given, _Field) else _Field(given, None, True)
    record = _Record(fields, order, kw_only)
    names = {**_COMMON, **(_ORDER if order else {}), **_by_value(record.key), **names}
    names.update(__slots__=tuple(fields), __match_args__=() if kw_only else tuple(fields), __record__=record)
    made: Any = type(cls)(cls.__name__, (), names)

    uncompiled = _FEW

    def __init__(self: Any, *args: Any, **named: Any) -> None:  # noqa: N807
        nonlocal uncompiled
        uncompiled -= 1
        if uncompiled < 0 or not _filled(self, record, args, named):
            made.__init__ = _compiled(made)
            made.__init__(self, *args, **named)

    made.__init__ = __init__
    made.__qualname__ = cls.__qualname__
    found: type = made
    return found


def _filled(self: Any, record: _Record, args: tuple[Any, ...], named: dict[str, Any]) -> bool:
    """Do what `__init__` would; False where the arguments are wrong, as what is compiled says so in Python's words."""
    fields = record.fields
    given = {**dict(zip(fields, args, strict=False)), **named}
    if len(given) != len(args) + len(named) or (args and record.kw_only) or not given.keys() <= fields.keys():
        return False
    for name, each in fields.items():
        value = given.get(name, each.default)
        if name not in given and each.factory is not None:
            value = each.factory()
        elif value is _MISSING:
            return False
        object.__setattr__(self, name, value)
    if hasattr(self, "__post_init__"):
        self.__post_init__()
    return True


def _compiled(cls: Any) -> Any:
    """The class's `__init__`: each value goes into its slot."""
    record: _Record = cls.__record__
    names: dict[str, Any] = {"missing": _MISSING}
    parameters, body = ["*"] if record.kw_only and record.fields else [], []
    for number, (name, each) in enumerate(record.fields.items()):
        names[f"set{number}"] = vars(cls)[name].__set__
        value = name
        if each.factory is not None:
            names[f"make{number}"] = each.factory
            parameters.append(f"{name}=missing")
            value = f"make{number}() if {name} is missing else {name}"
        elif each.default is not _MISSING:
            names[f"default{number}"] = each.default
            parameters.append(f"{name}=default{number}")
        else:
            parameters.append(name)
        body.append(f" set{number}(self, {value})")
    if hasattr(cls, "__post_init__"):
        body.append(" self.__post_init__()")
    exec(f"def __init__({', '.join(['self', *parameters])}):\n" + ("\n".join(body) or " pass"), names)
    names["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    return names["__init__"]


def _repr(self: Any) -> str:
    values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__record__.fields)
    return f"{type(self).__qualname__}({values})"


def _by_value(key: Callable[[Any], Any]) -> dict[str, Any]:
    """Equality and hash by what `key` takes of an instance."""

    def __eq__(self: Any, other: Any) -> Any:  # noqa: N807
        return key(self) == key(other) if self.__class__ is other.__class__ else NotImplemented

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(key(self))

    return {"__eq__": __eq__, "__hash__": __hash__}


def _lt(self: Any, other: Any) -> Any:
    key = self.__record__.key
    return key(self) < key(other) if type(self) is type(other) else NotImplemented


def _le(self: Any, other: Any) -> Any:
    key = self.__record__.key
    return key(self) <= key(other) if type(self) is type(other) else NotImplemented


def _gt(self: Any, other: Any) -> Any:
    key = self.__record__.key
    return key(self) > key(other) if type(self) is type(other) else NotImplemented


def _ge(self: Any, other: Any) -> Any:
    key = self.__record__.key
    return key(self) >= key(other) if type(self) is type(other) else NotImplemented


def _setattr(self: Any, name: str, value: Any) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__record__.fields]


def _setstate(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__record__.fields, state, strict=True):
        object.__setattr__(self, name, value)


class _Described:
    """What `dataclasses` keeps of a class, found out when it is first looked at."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: Any) -> Any:
        import dataclasses

        record: _Record = owner.__record__
        names: dict[str, Any] = {"__annotations__": dict(owner.__annotations__), "__doc__": owner.__doc__}
        for name, each in record.fields.items():
            default: Any = dataclasses.MISSING if each.default is _MISSING else each.default
            factory: Any = dataclasses.MISSING if each.factory is None else each.factory
            names[name] = dataclasses.field(default=default, default_factory=factory, compare=each.compare)
        plain: Any = type(owner.__name__, (), names)
        described = dataclasses.dataclass(frozen=True, order=record.order, kw_only=record.kw_only)(plain)
        for name in ("__dataclass_fields__", "__dataclass_params__"):
            setattr(owner, name, getattr(described, name))
        return getattr(owner, self._name)


_COMMON: dict[str, Any] = {
    "__repr__": _repr,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
    "__dataclass_fields__": _Described("__dataclass_fields__"),
    "__dataclass_params__": _Described("__dataclass_params__"),
}
_ORDER: dict[str, Any] = {"__lt__": _lt, "__le__": _le, "__gt__": _gt, "__ge__": _ge}


class _NamedTupleType(type):
    """Makes the classes whose base is `NamedTuple`: tuples with names for their items."""

    def __new__(cls, name: str, bases: tuple[type, ...], names: dict[str, Any]) -> Any:
        if [type(each) for each in bases] != [_NamedTupleType] or "_fields" in vars(bases[0]):
            return super().__new__(cls, name, bases, names)  # the base itself, or a class that only has more methods
        fields = tuple(names.get("__annotations__", ()))
        defaults = {each: names[each] for each in fields if each in names}
        names.update({each: _tuplegetter(number, None) for number, each in enumerate(fields)})
        names.update(__slots__=(), _fields=fields, _field_defaults=defaults, __match_args__=fields)
        made: Any = super().__new__(cls, name, bases, names)
        if fields:

            def __new__(of: Any, /, *args: Any, **named: Any) -> Any:  # noqa: N807
                made.__new__ = _compiled_new(made)
                return made.__new__(of, *args, **named)

            made.__new__ = __new__
        return made


def _compiled_new(cls: Any) -> Any:
    """The class's `__new__`, as `collections.namedtuple` makes it."""
    names: dict[str, Any] = {"tuple_new": tuple.__new__, **{f"default_{k}": v for k, v in cls._field_defaults.items()}}
    parameters = ", ".join(f"{each}=default_{each}" if each in cls._field_defaults else each for each in cls._fields)
    items = "".join(f"{each}, " for each in cls._fields)
    found = eval(f"lambda _cls, {parameters}: tuple_new(_cls, ({items}))", names)
    found.__name__, found.__qualname__ = "__new__", f"{cls.__qualname__}.__new__"
    return found


class _NamedTuple(tuple, metaclass=_NamedTupleType):  # type: ignore[type-arg]  # typing is not imported
    """As `typing.NamedTuple`."""

    __slots__ = ()
    if TYPE_CHECKING:
        _fields: tuple[str, ...]

    @classmethod
    def _make(cls, items: Iterable[Any]) -> Any:
        return cls(*items)

    def _replace(self, /, **named: Any) -> Any:
        values = dict(zip(self._fields, self, strict=True))
        if strange := [each for each in named if each not in values]:
            raise ValueError(f"Got unexpected field names: {strange!r}")
        return type(self)(**values | named)

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in zip(self._fields, self, strict=True))})"

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)


def _replace(instance: Any, /, **changes: Any) -> Any:
    """As `dataclasses.replace`."""
    values = {name: getattr(instance, name) for name in instance.__record__.fields}
    return type(instance)(**values | changes)


if not TYPE_CHECKING:
    dataclass, field, replace, NamedTuple, Protocol = _dataclass, _field, _replace, _NamedTuple, object

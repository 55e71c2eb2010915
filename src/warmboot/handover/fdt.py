"""Flattened device trees, read as they are: also where a file of them is cut off.

The format is the Devicetree Specification's (v0.4, chapter 5), all of whose own numbers are big-endian. Linux makes the
trees of a handover with libfdt, but what it puts into a property is a number as the processor has it.

libfdt itself, and its bindings for Python, refuse a blob whose end is missing. /sys/kernel/debug/kho/out/fdt has no
end: its size is the tree's at boot, and every subtree that is added later makes the tree longer (6.16 to 7.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from warmboot.handover.interface import HandoverError

__all__ = ["MAGIC", "Fdt", "Node", "parse_fdt"]

MAGIC = b"\xd0\x0d\xfe\xed"
_HEADER = 40  # bytes, from version 17 on
_LAST_COMPATIBLE = 16
_BEGIN_NODE, _END_NODE, _PROP, _NOP, _END = 1, 2, 3, 4, 9
_LARGEST = 16 << 20  # bytes of one tree
_MOST_NODES = 1 << 16
_DEEPEST = 32
_LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class Node:
    """A node: its properties as bytes, and its subnodes."""

    name: str
    properties: Mapping[str, bytes]
    children: tuple[Node, ...]

    @property
    def compatible(self) -> str:
        """The first of its compatible strings; empty where it has none."""
        return self.properties.get("compatible", b"").split(b"\0")[0].decode("ascii", "backslashreplace")

    def child(self, name: str) -> Node | None:
        """The first subnode of that name."""
        return next((each for each in self.children if each.name == name), None)

    def number(self, name: str, size: int = 8) -> int | None:
        """A property of `size` bytes as the processor's number; None where there is none of that size."""
        value = self.properties.get(name)
        return int.from_bytes(value, "little") if value is not None and len(value) == size else None

    def walk(self, path: str = "") -> Iterator[tuple[str, Node]]:
        """This node and all below it, with their paths."""
        yield path or "/", self
        for each in self.children:
            yield from each.walk(f"{path}/{each.name}")


@dataclass(frozen=True, slots=True)
class Fdt:
    """A tree. `size` is what its header says, in bytes; `problem` says what is missing of it."""

    root: Node
    size: int
    problem: str = ""


class _CutOffError(Exception):
    """The blob ends before the tree does."""


def parse_fdt(data: bytes, name: str = "the device tree") -> Fdt:
    """The tree in `data`, which may be longer, or end too early. Raises HandoverError where it is none."""
    if len(data) < _HEADER or data[:4] != MAGIC:
        raise HandoverError(f"{name}: at offset 0: no flattened device tree", hint="give what Linux handed over")
    total, at, strings, _, version, compatible = (_be(data, offset) for offset in (4, 8, 12, 16, 20, 24))
    if not _HEADER <= total <= _LARGEST or compatible > _LAST_COMPATIBLE or version < _LAST_COMPATIBLE:
        raise HandoverError(
            f"{name}: at offset 4: a tree of {total} bytes in version {version} cannot be read",
            hint="trees of up to 16 MiB in version 16 or 17 can",
        )
    reader = _Reader(bytes(data[:total]), at, strings, name)
    root = reader.tree()
    problem = f"{name}: is cut off after {len(data)} of {total} bytes" if reader.cut_off else ""
    return Fdt(root, total, problem)


def _be(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


class _Open:
    """A node whose end is not reached yet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.properties = dict[str, bytes]()
        self.children = list[Node]()

    def closed(self) -> Node:
        return Node(self.name, self.properties, tuple(self.children))


class _Reader:
    def __init__(self, data: bytes, at: int, strings: int, name: str) -> None:
        self._data, self._at, self._strings, self._name = data, at, strings, name
        self._nodes = 0
        self.cut_off = False

    def tree(self) -> Node:
        """The root, with whatever of the tree is there."""
        stack = list[_Open]()
        try:
            while True:
                token = self._word()
                if token == _BEGIN_NODE:
                    stack.append(self._begin(len(stack)))
                elif token == _END_NODE and stack:
                    node = stack.pop().closed()
                    if not stack:
                        return node
                    stack[-1].children.append(node)
                elif token == _PROP and stack:
                    name, value = self._property()
                    stack[-1].properties[name] = value
                elif token != _NOP:
                    raise self._wrong("a node or a property")
        except _CutOffError:
            self.cut_off = True
            if not stack:
                raise self._wrong("a root node") from None
        while len(stack) > 1:
            node = stack.pop().closed()
            stack[-1].children.append(node)
        return stack[0].closed()

    def _begin(self, depth: int) -> _Open:
        self._nodes += 1
        if depth >= _DEEPEST or self._nodes > _MOST_NODES:
            raise self._wrong(f"fewer than {_MOST_NODES} nodes, and none deeper than {_DEEPEST}")
        end = self._data.find(b"\0", self._at, self._at + _LONGEST_NAME)
        if end < 0:
            if self._at + _LONGEST_NAME > len(self._data):
                raise _CutOffError
            raise self._wrong(f"a name of fewer than {_LONGEST_NAME} bytes")
        name = self._data[self._at : end].decode("ascii", "backslashreplace")
        self._at = end + 4 & ~3
        return _Open(name)

    def _property(self) -> tuple[str, bytes]:
        size, where = self._word(), self._strings + self._word()
        value = self._data[self._at : self._at + size]
        if len(value) < size:
            raise _CutOffError
        self._at += size + 3 & ~3
        end = self._data.find(b"\0", where, where + _LONGEST_NAME)
        if end < 0:  # the names are at the end of the blob
            self.cut_off = True
            return f"?{where - self._strings:#x}", value
        return self._data[where:end].decode("ascii", "backslashreplace"), value

    def _word(self) -> int:
        word = self._data[self._at : self._at + 4]
        if len(word) < 4:
            raise _CutOffError
        self._at += 4
        return int.from_bytes(word, "big")

    def _wrong(self, expected: str) -> HandoverError:
        return HandoverError(f"{self._name}: at offset {self._at:#x}: {expected} was expected", hint="it is damaged")

"""BTF: the types of a kernel, as lie in every dump of a kernel with CONFIG_DEBUG_INFO_BTF.

Documentation/bpf/btf.rst has the format. A walk over the types notes where each begins, some 30 ms for a whole kernel;
whatever else is asked for is read when it is asked for. A name is looked for in the strings, its offset in the types.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice

from warmboot.dump.btf_sections import damaged, sections
from warmboot.dump.btf_types import BtfType, Kind, Member, Struct
from warmboot.dump.interface import DumpError
from warmboot.visible import visible

__all__ = ["Btf"]

_LONGEST_NAME = 512  # bytes, KSYM_NAME_LEN of 6.1 and later
_DEEPEST = 32  # qualifiers and typedefs around a type, or structures in one another
_MOST_ENDINGS = 256  # strings that end in a name: a damaged table may repeat one for ever
_MOST_MEMBERS = 1 << 16  # of one structure, anonymous ones opened: BTF's vlen has 16 bits

# 32-bit words that follow a type's three, by kind: so many, and so many for each of vlen.
_ONCE = {Kind.INT: 1, Kind.ARRAY: 3, Kind.VAR: 1, Kind.DECL_TAG: 1}
_EACH = {Kind.STRUCT: 3, Kind.UNION: 3, Kind.ENUM: 2, Kind.FUNC_PROTO: 2, Kind.DATASEC: 3, Kind.ENUM64: 3}
_SIZED = (Kind.INT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.FLOAT, Kind.ENUM64)
_AROUND = (Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG)


class Btf:
    """Types by name. `pointer_size` is in bytes: BTF itself does not tell it."""

    def __init__(self, data: bytes | memoryview, *, pointer_size: int = 8) -> None:
        """Raises DumpError where `data` is no BTF."""
        self._pointer_size = pointer_size
        self._words, self._strings = sections(bytes(data))

    @cached_property
    def _starts(self) -> array[int]:
        """The word at which each type begins, by number less one."""
        words, starts = self._words, array("L")
        once = [_ONCE.get(kind, 0) + 3 for kind in Kind]
        each = [_EACH.get(kind, 0) for kind in Kind]
        at, end = 0, len(words)
        try:
            while at < end:
                starts.append(at)
                info = words[at + 1]
                kind = info >> 24 & 0x1F
                at += once[kind] + each[kind] * (info & 0xFFFF)
        except IndexError:
            raise damaged(f"no type that is known at byte {at * 4:#x} of the types") from None
        if at > end:
            raise damaged(f"the last type, number {len(starts)}, runs past the end of the types")
        return starts

    def __len__(self) -> int:
        return len(self._starts)

    def find_struct(self, name: str) -> Struct | None:
        """The structure or union of that name, the first where it has several, also of a typedef; None for none."""
        number = self._find(name, (Kind.STRUCT, Kind.UNION)) or self._find(name, (Kind.TYPEDEF,))
        if number is None:
            return None
        found = self.type(number)
        return self._struct(found.number) if found.kind in (Kind.STRUCT, Kind.UNION) else None

    def struct(self, name: str) -> Struct:
        """The structure or union of that name. Raises DumpError where there is none."""
        found = self.find_struct(name)
        if found is None:
            raise _missing(f"struct {name}")
        return found

    def opened(self, of: BtfType) -> Struct:
        """The structure or union that a member's type is. Raises DumpError where it is something else."""
        return self._struct(of.number)

    def enum(self, name: str) -> Mapping[str, int]:
        """The values of the enumeration by name. Raises DumpError where there is none."""
        number = self._find(name, (Kind.ENUM, Kind.ENUM64))
        if number is None:
            raise _missing(f"enum {name}")
        return self._enumerators(number)

    def enumerator(self, name: str) -> int | None:
        """The value of the first enumerator of that name, of any enumeration; None where there is none."""
        for number, at in self._occurrences(name):
            kind = Kind(self._words[at[0] + 1] >> 24 & 0x1F)
            if kind in (Kind.ENUM, Kind.ENUM64):
                found = self._enumerators(number).get(name)
                if found is not None:
                    return found
        return None

    def type(self, number: int) -> BtfType:
        """The type of that number, typedefs and qualifiers taken off. Raises DumpError where there is none."""
        for _ in range(_DEEPEST):
            if number == 0:
                return BtfType(0, Kind.VOID, "void", 0)
            at, kind, _, _ = self._header(number)
            if kind not in _AROUND:
                return self._plain(number, at, kind)
            number = self._words[at + 2]
        raise damaged(f"type {number} is more than {_DEEPEST} typedefs and qualifiers deep")

    def _plain(self, number: int, at: int, kind: Kind) -> BtfType:
        words = self._words
        name = self._string(words[at])
        if kind is Kind.ARRAY:
            element, count = words[at + 3], words[at + 5]
            return BtfType(number, kind, name, self._array_size(element, count), element, count)
        if kind is Kind.PTR:
            return BtfType(number, kind, name, self._pointer_size, words[at + 2])
        size = words[at + 2] if kind in _SIZED else 0
        signed = bool(words[at + 3] >> 24 & 1) if kind is Kind.INT else bool(words[at + 1] >> 31)
        return BtfType(number, kind, name, size, signed=signed)

    def _array_size(self, element: int, count: int) -> int:
        """Bytes of an array, which may be one of arrays."""
        for _ in range(_DEEPEST):
            if element == 0:
                return 0
            at, kind, _, _ = self._header(element)
            if kind is Kind.ARRAY:
                count *= self._words[at + 5]
                element = self._words[at + 3]
            elif kind in _AROUND:
                element = self._words[at + 2]
            else:
                return count * (
                    self._pointer_size if kind is Kind.PTR else self._words[at + 2] if kind in _SIZED else 0
                )
        raise damaged(f"type {element} is an array more than {_DEEPEST} types deep")

    def _struct(self, number: int) -> Struct:
        at, kind, _, _ = self._header(number)
        if kind not in (Kind.STRUCT, Kind.UNION):
            raise damaged(f"type {number} is of kind {kind.name}, a structure or union was expected")
        members: dict[str, Member] = {}
        for count, member in enumerate(self._members(number, 0, 0)):
            if count >= _MOST_MEMBERS:
                raise damaged(f"type {number} has more than {_MOST_MEMBERS} members")
            if member is not None and member.name:
                members.setdefault(member.name, member)
        return Struct(self._string(self._words[at]), self._words[at + 2], members, self.opened)

    def _members(self, number: int, base: int, depth: int) -> Iterator[Member | None]:
        """The members; `base` is in bits. Anonymous structures and unions give None, which counts, and theirs."""
        if depth > _DEEPEST:
            raise damaged(f"type {number} lies in more than {_DEEPEST} anonymous structures")
        at, _, length, flag = self._header(number)
        for each in range(at + 3, at + 3 + 3 * length, 3):
            name, of, where = self._words[each : each + 3]
            bits, where = (where >> 24, where & 0xFFFFFF) if flag else (0, where)
            inner = self.type(of)
            if name == 0 and inner.kind in (Kind.STRUCT, Kind.UNION):
                yield None
                yield from self._members(inner.number, base + where, depth + 1)
                continue
            if inner.kind is Kind.INT and not flag:  # before kind_flag (5.0) the number's own width said it
                word = self._words[self._starts[inner.number - 1] + 3]
                bits = word & 0xFF if word & 0xFF != inner.size * 8 else 0
                where += word >> 16 & 0xFF
            yield Member(self._string(name), base + where, bits, inner)

    def _enumerators(self, number: int) -> Mapping[str, int]:
        at, kind, length, signed = self._header(number)
        words, wide = self._words, kind is Kind.ENUM64
        step, bits = (3, 64) if wide else (2, 32)
        found = {}
        for each in range(at + 3, at + 3 + step * length, step):
            value = words[each + 1] | (words[each + 2] << 32 if wide else 0)
            # Compilers before kind_flag of enumerations (6.0) do not say that they are signed: all were read so.
            negative = value >> (bits - 1) and (signed or not wide)
            found[self._string(words[each])] = value - (1 << bits) if negative else value
        return found

    def _header(self, number: int) -> tuple[int, Kind, int, bool]:
        """Where the type begins, its kind, vlen and kind_flag."""
        if not 0 < number <= len(self._starts):
            raise damaged(f"type {number} is named, there are {len(self._starts)}")
        at = self._starts[number - 1]
        info = self._words[at + 1]
        return at, Kind(info >> 24 & 0x1F), info & 0xFFFF, bool(info >> 31)

    def _string(self, at: int) -> str:
        if at >= len(self._strings):
            raise damaged(f"a name at byte {at:#x} of the strings, which are {len(self._strings):#x} bytes")
        return self._strings[at : at + _LONGEST_NAME].partition(b"\0")[0].decode("utf-8", "replace")

    def _find(self, name: str, kinds: tuple[Kind, ...]) -> int | None:
        """The number of the first type of that name, of one of `kinds`."""
        for number, (start, at) in self._occurrences(name):
            if start == at and Kind(self._words[start + 1] >> 24 & 0x1F) in kinds:
                return number
        return None

    def _occurrences(self, name: str) -> Iterator[tuple[int, tuple[int, int]]]:
        """Every word of the types that may be the offset of that name: (its type's number, (its start, the word))."""
        starts = self._starts
        for offset in islice(_found(self._strings, name.encode() + b"\0"), _MOST_ENDINGS):
            if offset == 0 or self._strings[offset - 1] != 0:
                continue
            pattern = offset.to_bytes(4, sys.byteorder)
            for byte in _found(self._raw, pattern):
                if byte % 4 == 0:
                    number = bisect_left(starts, byte // 4 + 1)
                    yield number, (starts[number - 1], byte // 4)

    @cached_property
    def _raw(self) -> bytes:
        return self._words.tobytes()


def _found(within: bytes, pattern: bytes) -> Iterator[int]:
    at = within.find(pattern)
    while at >= 0:
        yield at
        at = within.find(pattern, at + 1)


def _missing(what: str) -> DumpError:
    return DumpError(
        f"BTF: no {visible(what, most=100)}", hint="this release of Linux names it otherwise; what needs it is left out"
    )

"""What BTF says of types: structures with members, enumerations, and the kinds of Documentation/bpf/btf.rst."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from warmboot.dump.interface import DumpError
from warmboot.visible import visible

__all__ = ["BtfType", "Kind", "Member", "Struct"]


class Kind(IntEnum):
    """BTF_KIND_*, include/uapi/linux/btf.h; the number of each is part of the format."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


@dataclass(frozen=True, slots=True)
class BtfType:
    """A type with typedefs and qualifiers taken off. `size` is in bytes; 0 where the type has none.

    `count` and `element` are of an array, `element` (a type's number) of a pointer too; `signed` of a number.
    """

    number: int
    kind: Kind
    name: str
    size: int
    element: int = 0
    count: int = 0
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a structure or union, also one that lies in anonymous structures and unions of it.

    `bit_offset` counts from the start of the outermost structure; `bit_size` is 0 where it is no bit field.
    """

    name: str
    bit_offset: int
    bit_size: int
    type: BtfType

    @property
    def offset(self) -> int:
        """Bytes from the start of the structure; of a bit field, the byte that its lowest bit lies in."""
        return self.bit_offset >> 3


@dataclass(frozen=True, slots=True)
class Struct:
    """A structure or union: `size` in bytes, and the members in the order of the source, anonymous ones opened."""

    name: str
    size: int
    members: Mapping[str, Member]
    opened: Callable[[BtfType], Struct] = field(repr=False, compare=False)

    def __contains__(self, path: str) -> bool:
        return self.find(path) is not None

    def find(self, path: str) -> Member | None:
        """The member, or None. `a.b` is member b of the structure that member a is; its offset counts from here."""
        first, dot, rest = path.partition(".")
        member = self.members.get(first)
        if member is None or not dot:
            return member
        if member.type.kind not in (Kind.STRUCT, Kind.UNION):
            return None
        inner = self.opened(member.type).find(rest)
        if inner is None:
            return None
        return Member(path, member.bit_offset + inner.bit_offset, inner.bit_size, inner.type)

    def member(self, path: str) -> Member:
        """The member. Raises DumpError where there is none."""
        found = self.find(path)
        if found is None:
            raise DumpError(
                f"BTF: struct {visible(self.name, most=80)} has no member {visible(path, most=80)}",
                hint="this release of Linux names it otherwise; what needs it is left out",
            )
        return found

    def offset(self, path: str) -> int:
        """Bytes from the start of this structure to the member. Raises DumpError where there is none."""
        return self.member(path).offset

"""The versions of the handover's formats: which release brought each, and what is different in it.

Linux takes over a handover of its own version alone: the strings are compared whole. They are in
include/linux/kho/abi/ (from 6.19 on), before in kernel/kexec_handover.c. A kernel newer than these tables is said to be
so, and read as the newest version here, whose check at every step tells where that does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

__all__ = [
    "KHO",
    "LUO",
    "MEMFD",
    "METADATA_VERSION",
    "KhoVersion",
    "LuoVersion",
    "MapKind",
    "MemfdVersion",
    "Storage",
    "version_of",
]

METADATA_VERSION = 1  # KHO_KEXEC_METADATA_VERSION of 7.1 and later


class MapKind(Enum):
    """How the root's preserved-memory-map is made."""

    BITMAPS = "linked bitmaps"
    RADIX = "radix tree"


class Storage(Enum):
    """How LUO keeps entries of one kind."""

    ARRAY = "array"
    BLOCKS = "linked blocks"


@dataclass(frozen=True, slots=True)
class KhoVersion:
    """The root FDT. `blob` is the property of a subtree that has its address; `sized`: blob-size tells its bytes."""

    name: str
    since: str
    changed: str
    map: MapKind
    blob: str
    sized: bool


@dataclass(frozen=True, slots=True)
class LuoVersion:
    """LUO's state. `tree`: in an FDT, else a struct luo_ser. `since` is empty for one that no release had."""

    name: str
    since: str
    changed: str
    tree: bool
    sessions: Storage
    files: Storage


@dataclass(frozen=True, slots=True)
class MemfdVersion:
    """struct memfd_luo_ser of `size` bytes; `sealed`: it has the seals and flags."""

    name: str
    since: str
    changed: str
    size: int
    sealed: bool


_Version = TypeVar("_Version", KhoVersion, LuoVersion, MemfdVersion)

KHO = (
    KhoVersion("kho-v1", "6.16", "the first", MapKind.BITMAPS, "fdt", sized=False),
    KhoVersion("kho-v2", "7.0", "the map is a radix tree", MapKind.RADIX, "preserved-data", sized=False),
    KhoVersion("kho-v3", "7.1", "subtrees are any bytes, with their size", MapKind.RADIX, "preserved-data", sized=True),
    KhoVersion("kho-v4", "7.2", "linked blocks for serialized entries", MapKind.RADIX, "preserved-data", sized=True),
)
LUO = (
    LuoVersion("luo-v1", "6.19", "the first", tree=True, sessions=Storage.ARRAY, files=Storage.ARRAY),
    LuoVersion("luo-v2", "", "one property for all of it", tree=True, sessions=Storage.ARRAY, files=Storage.ARRAY),
    LuoVersion("luo-v3", "", "a structure, no device tree", tree=False, sessions=Storage.ARRAY, files=Storage.ARRAY),
    LuoVersion("luo-v4", "", "any number of sessions", tree=False, sessions=Storage.BLOCKS, files=Storage.ARRAY),
    LuoVersion("luo-v5", "7.2", "any number of files", tree=False, sessions=Storage.BLOCKS, files=Storage.BLOCKS),
)
MEMFD = (
    MemfdVersion("memfd-v1", "6.19", "the first", size=40, sealed=False),
    MemfdVersion("memfd-v2", "7.1", "with its seals", size=48, sealed=True),
)


def version_of(table: tuple[_Version, ...], compatible: str) -> tuple[_Version, bool] | None:
    """The row for a compatible string, and whether it is its own: one of the same family that is newer is read as the
    newest known. None for another family.

    What follows a semicolon are versions of parts, which later kernels add ("kho-v4;radix-v1").
    """
    base = compatible.partition(";")[0]
    for each in table:
        if each.name == base:
            return each, True
    family = table[-1].name.rpartition("v")[0]
    return (table[-1], False) if base.startswith(family) else None

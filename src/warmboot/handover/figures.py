"""What `handover show` found: the answer, as data. Addresses are physical, sizes in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from warmboot.handover.luo import Bound
from warmboot.handover.users import KexecMetadata, ReserveMem
from warmboot.memmap.ranges import Range

__all__ = [
    "FileFigures",
    "HandoverAnswer",
    "HeldSession",
    "LuoFigures",
    "MapFigures",
    "MemfdFigures",
    "OwnerFigures",
    "OwnerKind",
    "SessionFigures",
    "Side",
    "SideFigures",
    "SubtreeFigures",
    "TestFigures",
    "VersionFigures",
]


class Side(Enum):
    """Whose handover it is: what a kernel gives to the next one (out), or what it got from the one before (in)."""

    OUT = "out"
    IN = "in"
    LEFT_OVER = "left over"
    UNKNOWN = "unknown"


class OwnerKind(Enum):
    """Whose preserved memory is."""

    KHO = "KHO itself"
    LUO = "LUO itself"
    MEMFD = "memfd"
    RESERVE_MEM = "reserve_mem"
    TEST = "test module"
    SUBTREE = "subtree"


@dataclass(frozen=True, slots=True)
class VersionFigures:
    """A format's version. `known`: in the tables; else it was read as the newest one known, `read_as`. `since` is the
    release that brought that, empty where none had it."""

    compatible: str
    known: bool
    read_as: str
    since: str


@dataclass(frozen=True, slots=True)
class MapFigures:
    """The map of preserved memory. `folios` counts them by order; `damaged` of its `pages` pages cannot be what they
    should be. `confirmed`: all structures that can be read lie in what it lists."""

    address: int
    kind: str
    pages: int
    damaged: int
    cut_short: bool
    confirmed: bool
    folios: Mapping[int, int]
    bytes: int
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class SubtreeFigures:
    """What a user registered in the root."""

    name: str
    address: int
    size: int


@dataclass(frozen=True, slots=True)
class MemfdFigures:
    """A memfd. `found` tells how: by its file's entry, or by its form alone. `pieces` of memory have its content;
    `whole`: all of them can be read."""

    address: int
    version: VersionFigures
    found: str
    size: int
    position: int
    seals: tuple[str, ...]
    folios: int
    pieces: int
    whole: bool


@dataclass(frozen=True, slots=True)
class FileFigures:
    """A preserved file; `memfd` is what it is where its handler is a memfd's that can be read."""

    token: int
    handler: str
    data: int
    memfd: MemfdFigures | None


@dataclass(frozen=True, slots=True)
class SessionFigures:
    """A session. `found` tells how: in LUO's state, by its form in memory, or in the kernel's own lists."""

    name: str
    found: str
    files: tuple[FileFigures, ...]


@dataclass(frozen=True, slots=True)
class LuoFigures:
    """LUO's state; `number` counts live updates. `serialized`: sessions were written, which Linux does at the jump."""

    version: VersionFigures
    number: int
    serialized: bool
    bound: tuple[Bound, ...]


@dataclass(frozen=True, slots=True)
class TestFigures:
    """What the module test_kho preserved; `sum_found` is the checksum of what is there, None where it is not whole."""

    folios: int
    bytes: int
    checksum: int
    sum_found: int | None


@dataclass(frozen=True, slots=True)
class OwnerFigures:
    """Memory with an owner. `listed` bytes of it are in the map."""

    name: str
    kind: OwnerKind
    bytes: int
    listed: int
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class SideFigures:
    """One handover: a root FDT and all that hangs on it. `address` is 0 where it is not known. `notes` are what is as
    it should be, and may surprise."""

    side: Side
    address: int
    version: VersionFigures
    map: MapFigures | None
    subtrees: tuple[SubtreeFigures, ...]
    chain: KexecMetadata | None
    luo: LuoFigures | None
    sessions: tuple[SessionFigures, ...]
    loose: tuple[MemfdFigures, ...]
    reserve_mem: tuple[ReserveMem, ...]
    test: TestFigures | None
    owners: tuple[OwnerFigures, ...]
    unowned: tuple[Range, ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeldSession:
    """A session that a process holds, by its descriptor."""

    name: str
    pid: int
    process: str


@dataclass(frozen=True, slots=True)
class HandoverAnswer:
    """All of it. `memory` tells where it was read; `scratch_source` where the scratch areas were. `held` are sessions
    that processes of the running kernel hold."""

    source: str
    memory: str
    release: str
    parameters: tuple[str, ...]
    ram: tuple[Range, ...]
    scratch: tuple[Range, ...]
    scratch_source: str
    sides: tuple[SideFigures, ...]
    held: tuple[HeldSession, ...]
    problems: tuple[str, ...]

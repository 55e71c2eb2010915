"""The live update orchestrator's state: sessions, their files, and objects bound to files.

include/linux/kho/abi/luo.h and kernel/liveupdate/luo_session.c. Names and tokens are the user's, and Linux writes them
when it jumps (luo_session_serialize), not when they are made: before, there are empty blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from warmboot.errors import WarmbootError
from warmboot.handover.abi import LUO, LuoVersion, Storage, version_of
from warmboot.handover.blocks import array, blocks
from warmboot.handover.fdt import MAGIC, parse_fdt
from warmboot.handover.interface import PAGE_SHIFT, PAGE_SIZE, HandoverError, PhysicalMemory, u64

__all__ = ["FILE", "NAME", "SESSION", "Bound", "LuoFile", "LuoSession", "LuoState", "read_luo", "read_session"]

NAME = 64  # LIVEUPDATE_SESSION_NAME_LENGTH, bytes
SESSION = NAME + 16  # bytes of struct luo_session_ser
_COMPATIBLE = 48  # LIVEUPDATE_HNDL_COMPAT_LENGTH, bytes
FILE = _COMPATIBLE + 16  # bytes of struct luo_file_ser
_BOUND = 64  # bytes of struct luo_flb_ser
_LONGEST = 256  # bytes of a compatible string
_MOST_BOUND = 4096


@dataclass(frozen=True, slots=True)
class LuoFile:
    """A preserved file: who takes it (`handler`, a compatible string), the user's token, and `data`, which for a memfd
    is the physical address of its struct memfd_luo_ser."""

    handler: str
    token: int
    data: int


@dataclass(frozen=True, slots=True)
class LuoSession:
    """A session, with its files in the order in which they were preserved."""

    name: str
    files: tuple[LuoFile, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """A global object that lives as long as files of its kind do (FLB); `count` files hold it."""

    name: str
    data: int
    count: int


@dataclass(slots=True)
class LuoState:
    """LUO's state; `number` counts live updates. `pages` are the physical ranges that it takes: start, bytes.

    `serialized`: the sessions were written, which Linux does at the jump.
    """

    compatible: str
    version: LuoVersion
    known: bool
    number: int
    serialized: bool = False
    sessions: list[LuoSession] = field(default_factory=list)
    bound: list[Bound] = field(default_factory=list)
    pages: list[tuple[int, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_luo(memory: PhysicalMemory, data: bytes, address: int) -> LuoState:
    """The state in a subtree's bytes. Raises HandoverError where it is not LUO's."""
    tree = data.startswith(MAGIC)
    if tree:
        root = parse_fdt(data, "LUO's device tree").root
        compatible = root.compatible
    else:
        end = data.find(b"\0", 0, _LONGEST)
        compatible = data[: max(0, end)].decode("ascii", "backslashreplace")
    found = version_of(LUO, compatible)
    if found is None:
        raise HandoverError(
            f"LUO's state at {address:#x}: no luo-v1 to {LUO[-1].name}", hint="Linux frees it once it has read it"
        )
    state = LuoState(compatible, *found, 0)
    state.pages.append((address, max(len(data), 1)))
    if tree:
        state.number = root.number("liveupdate-number") or 0
        sessions, bound = (
            (node.number(f"{name}-header") or 0) if (node := root.child(name)) else 0
            for name in ("luo-session", "luo-flb")
        )
        header = root.number("luo-abi-header")
        if header:
            words = memory.physical(header, 24)
            state.number, sessions, bound = (u64(words, at) for at in (0, 8, 16))
            state.pages.append((header, 24))
    else:
        at = len(compatible) + 8 & ~7  # LUO_ABI_COMPAT_LEN: with its end, rounded up to 8
        state.number, sessions, bound = (u64(data, at + each) for each in (0, 8, 16))
    _sessions(memory, state, sessions)
    _bound(memory, state, bound)
    return state


def _sessions(memory: PhysicalMemory, state: LuoState, at: int) -> None:
    if not at:
        return
    entries = list[bytes]()
    try:
        if state.version.sessions is Storage.BLOCKS:
            for block, some in blocks(memory, at, SESSION, "LUO's sessions"):
                state.pages.append((block, PAGE_SIZE))
                entries += some
        else:
            count = u64(memory.physical(at, 8))
            entries = array(memory, at + 8, count, SESSION, "LUO's sessions")
            state.pages.append((at, 8 + count * SESSION))
    except WarmbootError as error:
        state.problems.append(str(error))
    state.serialized = bool(entries)
    for each in entries:
        read_session(memory, state, each)


def read_session(memory: PhysicalMemory, state: LuoState, entry: bytes) -> None:
    """Add the session of a struct luo_session_ser; what cannot be read of its files is told among the problems."""
    name = entry[:NAME].split(b"\0")[0].decode("utf-8", "backslashreplace")
    files, count = u64(entry, NAME), u64(entry, NAME + 8)
    found = list[LuoFile]()
    what = f"files of session {name!r}"
    try:
        if state.version.files is Storage.BLOCKS:
            for block, some in blocks(memory, files, FILE, what):
                state.pages.append((block, PAGE_SIZE))
                found += map(_file, some)
        elif files:
            found += map(_file, array(memory, files, count, FILE, what))
            state.pages.append((files, count * FILE))
        if len(found) != count:
            state.problems.append(f"{what}: there are {len(found)}, the session tells of {count}")
    except WarmbootError as error:
        state.problems.append(str(error))
    state.sessions.append(LuoSession(name, tuple(found)))


def _file(entry: bytes) -> LuoFile:
    handler = entry[:_COMPATIBLE].split(b"\0")[0].decode("ascii", "backslashreplace")
    return LuoFile(handler, u64(entry, _COMPATIBLE + 8), u64(entry, _COMPATIBLE))


def _bound(memory: PhysicalMemory, state: LuoState, at: int) -> None:
    if not at:
        return
    try:
        header = memory.physical(at, 16)
        pages, count = u64(header), u64(header, 8)
        if count > _MOST_BOUND or not pages or pages > 1 << 10:
            raise HandoverError(f"LUO's objects at {at:#x}: {count} in {pages} pages", hint="it was written over")
        state.pages.append((at, pages << PAGE_SHIFT))
        for each in array(memory, at + 16, count, _BOUND, "LUO's objects"):
            name = each[:_COMPATIBLE].split(b"\0")[0].decode("ascii", "backslashreplace")
            state.bound.append(Bound(name, u64(each, _COMPATIBLE), u64(each, _COMPATIBLE + 8)))
    except WarmbootError as error:
        state.problems.append(str(error))

"""Sessions as the running kernel has them: names and tokens that are not serialized yet.

`luo_session_global` of kernel/liveupdate/luo_session.c has two lists, of incoming and of outgoing sessions. Where in
their structures the members are depends on the kernel's configuration (the locks between them), and few kernels have
types (BTF) with them. So a list is told by itself: what an element's `prev` names is the one before, and the count
beside the head is the number of elements. What follows in a session is found in the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

from warmboot.errors import WarmbootError
from warmboot.handover.figures import Side
from warmboot.handover.interface import HandoverError, u64
from warmboot.handover.luo import NAME, LuoFile, LuoSession

__all__ = ["SYMBOLS", "VirtualMemory", "kernel_scratch", "kernel_sessions"]

_SESSIONS, _SCRATCH, _SCRATCH_COUNT = SYMBOLS = ("luo_session_global", "kho_scratch", "kho_scratch_cnt")
_MOST_SCRATCH = 1026  # nodes and two
_GLOBAL = 1024  # bytes that hold both heads in any configuration
_INCOMING = 8  # bytes: the count is before it
_MOST = 4096  # elements of a list
_MOST_READS = 1 << 18
_KERNEL = 0xFF  # the top byte of the kernel's addresses, with four or five levels of page tables
_SESSION = 384  # bytes of a session that are looked at, from its name on
_LIST = 64  # bytes: `list` in struct luo_session
_TO_HANDLER = 16  # bytes: `fh` and `file` are before `serialized_data`
_BEFORE, _AFTER = 128, 16  # bytes of a struct luo_file around its `list`: what it preserved, and the token


class VirtualMemory(Protocol):
    """Memory by the kernel's own addresses."""

    def virtual(self, address: int, size: int) -> bytes:
        """`size` bytes at a kernel virtual address. Raises WarmbootError."""


def kernel_sessions(
    memory: VirtualMemory, symbols: Mapping[str, int], handlers: Mapping[int, str]
) -> dict[Side, list[LuoSession]]:
    """The sessions of both lists. `handlers` are what is known to be preserved, by its physical address: who takes it.

    Empty where the kernel has no such symbol, or its memory cannot be read.
    """
    found = dict[Side, list[LuoSession]]()
    base = symbols.get(_SESSIONS)
    if not base:
        return found
    reader = _Reader(memory, handlers)
    try:
        data = memory.virtual(base, _GLOBAL)
        for _ in range(2):  # what the first look learns of one file, the second one uses for all
            found[Side.IN] = reader.sessions(base, data, [_INCOMING])
            found[Side.OUT] = reader.sessions(base, data, range(_INCOMING + 32, _GLOBAL - 16, 8))
    except WarmbootError:
        pass
    return found


def kernel_scratch(memory: VirtualMemory, symbols: Mapping[str, int]) -> bytes:
    """The array of scratch areas, as the kernel has it; empty where it cannot be read."""
    array, count = symbols.get(_SCRATCH), symbols.get(_SCRATCH_COUNT)
    if not array or not count:
        return b""
    try:
        number = int.from_bytes(memory.virtual(count, 4), "little")
        return memory.virtual(u64(memory.virtual(array, 8)), min(number, _MOST_SCRATCH) * 16)
    except WarmbootError:
        return b""


class _Reader:
    def __init__(self, memory: VirtualMemory, handlers: Mapping[int, str]) -> None:
        self._memory, self._handlers = memory, handlers
        self._left = _MOST_READS
        self._at = 0  # where `serialized_data` is, once that is known
        self._names = dict[int, str]()  # of handlers, by the addresses of their structures

    def sessions(self, base: int, data: bytes, offsets: Collection[int]) -> list[LuoSession]:
        """The sessions of the first list among `offsets` of `data` that is one of sessions."""
        for at in offsets:
            count = u64(data, at - 8)
            if not 0 < count <= _MOST:
                continue
            elements = self._elements(base + at, count)
            if len(elements) != count:
                continue
            found = [self._session(each - _LIST) for each in elements]
            sessions = [each for each in found if each is not None]
            if len(sessions) == count:
                return sessions
        return []

    def _virtual(self, address: int, size: int) -> bytes:
        """Raises HandoverError, too, once lists were followed for longer than any machine's are."""
        self._left -= 1
        if self._left < 0:
            raise HandoverError(f"at {address:#x}: a list of sessions has no end", hint="it was written over")
        return self._memory.virtual(address, size)

    def _session(self, address: int) -> LuoSession | None:
        try:
            data = self._virtual(address, _SESSION)
        except WarmbootError:
            return None
        name, _, rest = data[:NAME].partition(b"\0")
        if not name or any(rest) or any(each < 0x20 for each in name):
            return None
        files = list[LuoFile]()
        for at in range(_LIST + 16, _SESSION - 16, 8):
            elements = self._elements(address + at, _MOST)
            files = [file for each in elements if (file := self._file(each)) is not None]
            if files and len(files) == len(elements):
                break
        else:
            files = []
        return LuoSession(name.decode("utf-8", "backslashreplace"), tuple(files))

    def _file(self, element: int) -> LuoFile | None:
        """The file whose `list` this is: before it is what it preserved, after it the token."""
        try:
            data = self._virtual(element - _BEFORE, _BEFORE + _AFTER + 8)
        except WarmbootError:
            return None
        token = u64(data, _BEFORE + _AFTER)
        for at in range(_BEFORE - 8, -1, -8):
            handler = self._handlers.get(u64(data, at))
            if handler is not None and at >= _TO_HANDLER:
                self._at = at
                self._names[u64(data, at - _TO_HANDLER)] = handler
                return LuoFile(handler, token, u64(data, at))
        # An empty memfd has no form to be known by, but the same handler.
        handler = self._names.get(u64(data, self._at - _TO_HANDLER)) if self._at else None
        return None if handler is None else LuoFile(handler, token, u64(data, self._at))

    def _elements(self, head: int, most: int) -> list[int]:
        return list(self._walk(head, most))

    def _walk(self, head: int, most: int) -> Iterator[int]:
        """The elements of the list with that head; it ends early where an element does not name the one before it."""
        try:
            before, at = head, u64(self._virtual(head, 8))
            for _ in range(most):
                if at == head or at >> 56 != _KERNEL or at % 8:
                    return
                following, previous = (u64(self._virtual(at, 16), offset) for offset in (0, 8))
                if previous != before:
                    return
                yield at
                before, at = at, following
        except WarmbootError:
            return

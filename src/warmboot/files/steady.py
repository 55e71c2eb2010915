"""Mapped files that may be written while they are read: changes are detected, and truncation does not kill the reader.

A mapped file changes under its reader: what was digested is then not what is loaded. So its size and its times are
noted before anything of it is read, and looked at again when it was used. Where a file is cut, its last pages are
gone, and a process that reads them gets SIGBUS; the handler maps pages of zeros in their place, so that the reader goes
on and finds at the end that the file has changed.
"""

from __future__ import annotations

import _weakref  # what `weakref` is made of, whose imports cost more
import ctypes
import mmap
import os
import time

from warmboot.errors import InputError
from warmboot.files.held import Hold

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["changed_files", "check_unchanged", "survive_cut_files", "watch"]

_SIGBUS, _SA_SIGINFO = 7, 4
_SI_ADDR = 16  # where siginfo_t has si_addr (asm-generic/siginfo.h, 64 bits)
_MAP_FIXED = 0x10
_TICK = 20_000_000  # ns: a file's times go in steps of up to 10 ms, before Linux 6.13

_Status = tuple[int, int, int]


class _Watched:
    """A mapped file: where it is mapped (virtual), an open descriptor of it, and its status when it was mapped."""

    def __init__(self, name: str, descriptor: int, mapping: mmap.mmap) -> None:
        self.name = name
        self.start, self.end = 0, 0
        hold = Hold(mapping)
        self.start, self.end = hold.address, hold.address + -(-len(mapping) // mmap.PAGESIZE) * mmap.PAGESIZE
        hold.release()
        self.descriptor = os.dup(descriptor)
        self.status = _status(self.descriptor)
        self.is_lost = False  # whether some of it was read as zeros: it was cut, or its disk failed

    def changed(self) -> bool:
        return self.is_lost or _status(self.descriptor) != self.status


class _SigAction(ctypes.Structure):
    """struct sigaction of the C library."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ubyte * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


_Handler = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

_watched: dict[int, _Watched] = {}  # by the identity of their mappings
_references: dict[int, object] = {}
_handlers: list[object] = []  # the handler while it is installed, and what was before it


def watch(name: str, descriptor: int, mapping: mmap.mmap) -> None:
    """Note the status of an open file that has just been mapped, of which nothing has been read. Raises OSError.

    It is watched for as long as the mapping is.
    """
    if _handlers:
        _wait_for_another_tick(descriptor)
    key = id(mapping)

    def forget(_: object) -> None:
        _references.pop(key)
        os.close(_watched.pop(key).descriptor)

    _watched[key] = _Watched(name, descriptor, mapping)
    _references[key] = _weakref.ref(mapping, forget)


def changed_files() -> list[str]:
    """The names of the watched files that are not what they were when they were mapped."""
    return [each.name for each in list(_watched.values()) if each.changed()]


def check_unchanged(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Raises InputError where a watched file of these names has changed."""
    names = {os.fspath(each) for each in paths}
    changed = sorted(names.intersection(changed_files()))
    if changed:
        raise InputError(
            f"{', '.join(changed)}: changed while it was read",
            hint="do it again when what writes it has ended",
        )


def survive_cut_files() -> None:
    """From now on this process is not killed by a watched file that is cut: its lost pages read as zeros.

    For programs, not for a library: the handler of SIGBUS is the whole process's.
    """
    if _handlers:
        return
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    before = _SigAction()
    handler = _Handler(_handler(libc.mmap, lambda: libc.sigaction(_SIGBUS, ctypes.byref(before), None)))
    _handlers.extend((handler, before))
    ours = _SigAction(handler=ctypes.cast(handler, ctypes.c_void_p), flags=_SA_SIGINFO)
    libc.sigaction(_SIGBUS, ctypes.byref(ours), ctypes.byref(before))


def _handler(map_zeros: Callable[..., object], give_up: Callable[[], object]) -> Callable[[int, int, int], None]:
    """The signal comes at a load of a byte, in C code that only reads: Python may run here, as it may in a callback."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_FIXED

    def handle(_number: int, info: int, _context: int) -> None:
        address = ctypes.c_size_t.from_address(info + _SI_ADDR).value
        page = address & -mmap.PAGESIZE
        for each in list(_watched.values()):
            if each.start <= address < each.end:
                each.is_lost = True
                # All that follows a cut is lost as well, and one signal a page would take long.
                if map_zeros(page, each.end - page, mmap.PROT_READ, flags, -1, 0) == page:
                    return
        give_up()  # not ours: the load is made again, and does what it did before

    return handle


def _status(descriptor: int) -> _Status:
    status = os.fstat(descriptor)
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _wait_for_another_tick(descriptor: int) -> None:
    """Until what is written from now on has another time than what was written last."""
    age = time.time_ns() - _status(descriptor)[2]
    if 0 <= age < _TICK:
        time.sleep((_TICK - age) / 1e9)

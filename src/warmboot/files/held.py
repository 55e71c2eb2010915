"""Where a view's bytes lie in this process, and letting go of pages of files that were read through one."""

from __future__ import annotations

import ctypes
import mmap

__all__ = ["Hold", "let_go"]


class _PyBuffer(ctypes.Structure):
    """Py_buffer of Python's stable ABI: unlike ctypes' own from_buffer, it takes what is read-only."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
        ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
        ("suboffsets", ctypes.POINTER(ctypes.c_ssize_t)),
        ("internal", ctypes.c_void_p),
    )


_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = (ctypes.py_object, ctypes.POINTER(_PyBuffer), ctypes.c_int)
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = (ctypes.POINTER(_PyBuffer),)
_release_buffer.restype = None
_PYBUF_SIMPLE = 0


class Hold:
    """The bytes of `data`, held where they are until `release`. `address` is virtual; `readonly` as the owner says."""

    def __init__(self, data: memoryview | mmap.mmap) -> None:
        self._buffer = _PyBuffer()
        _get_buffer(data, self._buffer, _PYBUF_SIMPLE)
        self.address: int = self._buffer.buf or 0
        self.readonly: bool = bool(self._buffer.readonly)

    def release(self) -> None:
        """Give the bytes back to their owner; the address is void from then on."""
        _release_buffer(self._buffer)


def let_go(data: memoryview) -> None:
    """Unmap the pages of a mapped file that were read through `data`; they come back when they are read again.

    As long as they are mapped they count as this process's memory (Private_Clean of smaps), though they are the page
    cache's. Nothing is done where `data` is no mapped file, or one that can be written.
    """
    mapping = data.obj
    if not isinstance(mapping, mmap.mmap) or not data.nbytes:
        return
    here, whole = Hold(data), Hold(mapping)
    offset = here.address - whole.address
    here.release()
    whole.release()
    if whole.readonly:  # what a program has written would be lost where the mapping is its own
        start = offset & -mmap.PAGESIZE
        mapping.madvise(mmap.MADV_DONTNEED, start, offset + data.nbytes - start)

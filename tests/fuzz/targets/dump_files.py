"""Dumps in files, in every format, and the log in a kernel's memory. Headers come without the zeros behind them."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

from fuzz.targets.kernel_image import BASE, KernelImage
from warmboot.dump.interface import DumpError
from warmboot.dump.kdump_header import HEADER, SUB_HEADER
from warmboot.dump.log import read_log
from warmboot.dump.opening import open_dump
from warmboot.dump.source import Source, utsname
from warmboot.dump.vmcoreinfo import parse_vmcoreinfo
from warmboot.errors import WarmbootError
from warmboot.visible import visible

__all__ = ["elf_core", "flattened", "kdump", "log", "raw", "split"]

_PAGE = 4096
_BITMAP = 8  # bytes of each that an input has
_RAW = 1 << 20  # bytes


def _read(*files: bytes, size: int = 0) -> None:
    """A dump of these files is read, or refused in words that steer no terminal."""
    with ExitStack() as stack:
        paths = []
        for data in files:
            file = stack.enter_context(tempfile.NamedTemporaryFile())
            file.write(data)
            file.truncate(max(size, len(data)))
            file.flush()
            paths.append(Path(file.name))
        try:
            _look(open_dump(*paths))
        except WarmbootError as error:
            if str(error) != visible(str(error), keep_tab=True) or not error.hint:
                raise AssertionError(f"not made visible, or no hint: {error!r}") from error


def _look(source: Source) -> None:
    for number, run in enumerate(source.ranges.runs()):
        assert run
        with suppress(DumpError):
            size = min(len(run), 2 * _PAGE)
            assert len(source.physical(run.start, size)) == size
            assert bytes(source.view(run.start, size)) == source.physical(run.start, size)
        if number == 8:
            break
    with suppress(DumpError):
        source.virtual(BASE, 8)
    with suppress(DumpError):
        assert len(utsname(source)) == 390
    with suppress(DumpError):
        read_log(source)


def elf_core(data: bytes) -> None:
    """The file as it is."""
    _read(b"\x7fELF" + data[4:])


def _kdump(data: bytes) -> bytes:
    """Header, sub header and bitmaps of blocks of 4 KiB, one after the other; then descriptors and pages."""
    head, rest = b"KDUMP   " + data[8 : HEADER.size], data[HEADER.size :]
    sub, rest = rest[: SUB_HEADER.size], rest[SUB_HEADER.size :]
    blocks = (head, sub, rest[:_BITMAP], rest[_BITMAP : 2 * _BITMAP])
    return b"".join(each.ljust(_PAGE, b"\0") for each in blocks) + rest[2 * _BITMAP :]


def kdump(data: bytes) -> None:
    """A kdump-compressed dump of one file."""
    _read(_kdump(data))


def split(data: bytes) -> None:
    """Two files of a split dump; the first two bytes say where the second one begins."""
    at = int.from_bytes(data[:2], "little")
    _read(_kdump(data[2:][:at]), _kdump(data[2:][at:]))


def flattened(data: bytes) -> None:
    """The records of a flattened dump; a header that is not there is that of an ELF core."""
    _read(b"makedumpfile".ljust(_PAGE, b"\0") + data)


def raw(data: bytes) -> None:
    """The second page of a memory, and what follows."""
    _read(bytes(_PAGE) + data, size=_RAW)


def log(data: bytes) -> None:
    """The log of any release; VMCOREINFO is before the first zero byte."""
    text, _, image = data.partition(b"\0")
    records, problem = read_log(KernelImage(image, parse_vmcoreinfo(text)))
    assert all(each.time is None or each.time >= 0 for each in records)
    assert problem is None or problem == visible(problem, keep_tab=True)

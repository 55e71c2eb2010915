"""The files that are loaded: mapped where they can be, read where not (devices, pipes, /sys), each opened once; errors
as scripts know them."""

from __future__ import annotations

import mmap
import os
import stat

from warmboot.dropin.output import shown
from warmboot.dropin.stop import Stop
from warmboot.files.steady import changed_files, survive_cut_files, watch

__all__ = ["File", "Inputs"]


class File:
    """An open file and its bytes. `mapped`: they are the file itself, and no copy."""

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.fd = fd
        data, mapped = _content(path, fd)
        self.data: memoryview = data
        self.mapped: bool = mapped


class Inputs:
    """The files of one command, by their names; they stay open until it ends.

    A pipe can be read once: where one system call had it and another is tried, its bytes are still here.
    """

    def __init__(self) -> None:
        survive_cut_files()
        self._descriptors: dict[str, int] = {}
        self._files: dict[str, File] = {}

    def file(self, path: str) -> File:
        """The file with its bytes. Raises Stop."""
        if path not in self._files:
            try:
                fd = self._opened(path)
            except (OSError, ValueError) as error:
                raise Stop(1, f"Cannot open `{shown(path)}': {_reason(error)}\n") from None
            try:
                self._files[path] = File(path, fd)
            except OSError as error:
                name = shown(path)
                raise Stop(1, f"Read on {name} failed: {error.strerror}\nCannot read {name}\n") from None
        file = self._files[path]
        if not file.data.nbytes:
            raise Stop(1, f"Cannot read {shown(path)}\nkexec: it is empty\n")
        return file

    def descriptor(self, path: str) -> int:
        """A descriptor for kexec_file_load, which reads regular files alone: of a copy in memory where it is a pipe or
        a device. Raises OSError."""
        fd = self._opened(path)
        if not stat.S_ISFIFO(mode := os.fstat(fd).st_mode) and not stat.S_ISCHR(mode):
            return fd
        from warmboot.files.anonymous import anonymous_file  # noqa: PLC0415

        file = self._files.setdefault(path, File(path, fd))
        return anonymous_file(file.data, "initrd")

    def changed(self, outcome: str) -> str:
        """What is told where a file has changed since it was mapped, with the `outcome`; nothing where none has."""
        names = ", ".join(map(shown, changed_files()))
        if not names:
            return ""
        hint = "again, when what writes it has ended"
        return f"kexec: {names}: changed while it was loaded; {outcome}\nkexec: try: {hint}\n"

    def _opened(self, path: str) -> int:
        if path not in self._descriptors:
            self._descriptors[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return self._descriptors[path]


def _content(path: str, fd: int) -> tuple[memoryview, bool]:
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and status.st_size:
        try:
            mapping = mmap.mmap(fd, status.st_size, prot=mmap.PROT_READ)
        except (OSError, ValueError):  # such as /sys/firmware/initrd, or cut just now
            pass
        else:
            watch(path, fd, mapping)
            return memoryview(mapping), True
    pieces = []
    while piece := os.read(fd, 1 << 20):
        pieces.append(piece)
    return memoryview(b"".join(pieces)), False


def _reason(error: OSError | ValueError) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)

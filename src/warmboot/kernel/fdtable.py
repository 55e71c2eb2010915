"""Open files and one process's descriptors, as far as live updates look at them (fs/file.c, fs/file_table.c)."""

from __future__ import annotations

from warmboot.kernel.luo_rules import BAD_DESCRIPTOR, OPEN_FILES

__all__ = ["FdTable", "File"]


class File:
    """struct file: shared by the descriptors that were duplicated from it, and by whoever holds it in the kernel."""

    def __init__(self, *, readable: bool = True, writable: bool = True) -> None:
        self.readable = readable  # FMODE_READ
        self.writable = writable  # FMODE_WRITE
        self.references: int = 1

    def get(self) -> File:
        """One more reference (get_file)."""
        self.references += 1
        return self

    def put(self) -> None:
        """One less (fput); the last closes the file."""
        self.references -= 1
        if not self.references:
            self.release()

    def release(self) -> None:
        """What is done where the last reference goes."""


class FdTable:
    """The descriptors `first` to `limit` - 1 of a process; the lowest free one is given out, as POSIX has it."""

    def __init__(self, first: int = 0, limit: int = 1024) -> None:
        self.first = first
        self.limit = limit
        self._files: dict[int, File] = {}

    def get_unused_fd(self) -> int:
        """The next descriptor. Raises KexecError: EMFILE."""
        found = next((number for number in range(self.first, self.limit) if number not in self._files), None)
        if found is None:
            raise OPEN_FILES.refuse(f"{self.limit} descriptors are open, and no more are allowed")
        return found

    def install(self, fd: int, file: File) -> None:
        """The descriptor `fd`, which is free, is the file's from now on; the caller's reference goes with it."""
        self._files[fd] = file

    def get(self, fd: int) -> File:
        """The open file of a descriptor. Raises KexecError: EBADF."""
        file = self._files.get(fd)
        if file is None:
            raise BAD_DESCRIPTOR.refuse(f"descriptor {fd} is not open", addresses=(fd,))
        return file

    def close(self, fd: int) -> None:
        """Close one. Raises KexecError: EBADF."""
        file = self.get(fd)
        del self._files[fd]
        file.put()

    def close_all(self) -> None:
        """The process ends: lowest first, as Linux does."""
        for fd in sorted(self._files):
            self.close(fd)

    def __len__(self) -> int:
        return len(self._files)

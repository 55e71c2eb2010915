"""Write a cpio archive in the newc format, the one that Linux unpacks as its first root file system.

The same content gives the same bytes: entries are sorted, times are 0, everything belongs to root. No
privilege and no `cpio` program is needed, as device nodes are described and never made.

The format is in Documentation/driver-api/early-userspace/buffer-format.rst of the Linux tree.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from warmboot.errors import InputError

__all__ = ["CpioEntry", "archive", "device", "directory", "file", "symlink", "tree"]

_MAGIC = b"070701"


@dataclass(frozen=True, slots=True)
class CpioEntry:
    """One name in an archive.

    `name` is relative to the root. `mode` is the inode's whole mode, type and permissions. `data` is a file's
    content or a symbolic link's target; `device` the major and minor number of a device node.
    """

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        parts = self.name.split("/")
        if "\0" in self.name or not {"", ".", ".."}.isdisjoint(parts):
            raise InputError(
                f"{self.name!r} cannot be a name in an initramfs",
                hint="give a path without a leading slash, '.', '..' or empty parts, for example 'etc/hosts'",
            )
        if len(self.data) > 0xFFFF_FFFF:
            raise InputError(
                f"{self.name}: {len(self.data)} bytes are too many for cpio", hint="a file may have 4 GiB - 1"
            )


_TRAILER = CpioEntry("TRAILER!!!", 0)  # ends the archive


def directory(name: str, permissions: int = 0o755) -> CpioEntry:
    """A folder."""
    return CpioEntry(name, stat.S_IFDIR | permissions)


def file(name: str, data: bytes, permissions: int = 0o644) -> CpioEntry:
    """A regular file."""
    return CpioEntry(name, stat.S_IFREG | permissions, data)


def symlink(name: str, target: str) -> CpioEntry:
    """A symbolic link at `name` that leads to `target`."""
    return CpioEntry(name, stat.S_IFLNK | 0o777, _encode(target))


def device(name: str, major: int, minor: int, permissions: int = 0o600) -> CpioEntry:
    """A character device, such as dev/console (5, 1)."""
    return CpioEntry(name, stat.S_IFCHR | permissions, device=(major, minor))


def tree(folder: Path) -> list[CpioEntry]:
    """Everything below `folder`: its folders, files and symbolic links.

    A file with several names is stored once for each. Raises InputError for what an archive of files cannot
    hold (a socket, a pipe) or what cannot be read.
    """
    entries = []
    for path in sorted(folder.rglob("*")):
        try:
            status = path.lstat()
            data = b""
            if stat.S_ISLNK(status.st_mode):
                data = _encode(str(path.readlink()))
            elif stat.S_ISREG(status.st_mode):
                data = path.read_bytes()
            elif not stat.S_ISDIR(status.st_mode):
                raise InputError(
                    f"{path}: neither a file, a folder nor a symbolic link",
                    hint="leave it out; `device` describes a device node",
                )
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}", hint="check the permissions") from error
        entries.append(CpioEntry(path.relative_to(folder).as_posix(), status.st_mode, data))
    return entries


def archive(entries: Iterable[CpioEntry]) -> bytes:
    """The newc archive of `entries`, with the folders they lie in added where missing.

    Of two entries of one name the later one counts. Raises InputError for the name that ends an archive.
    """
    named = {entry.name: entry for entry in entries}
    if _TRAILER.name in named:
        raise InputError(f"{_TRAILER.name} ends a cpio archive and cannot be a file's name", hint="leave it out")
    for name in list(named):
        for cut in (index for index, character in enumerate(name) if character == "/"):
            named.setdefault(name[:cut], directory(name[:cut]))
    # Sorted by their parts, so that a folder comes before what lies in it and its content stays together.
    ordered = sorted(named.values(), key=lambda entry: entry.name.split("/"))
    out = bytearray()
    for inode, entry in enumerate(ordered, start=1):
        _append(out, entry, inode)
    _append(out, _TRAILER, 0)
    return bytes(out)


def _append(out: bytearray, entry: CpioEntry, inode: int) -> None:
    path = _encode(entry.name) + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    # ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(path), 0)
    out += _MAGIC + b"".join(b"%08X" % field for field in fields)
    out += path + bytes(-(len(_MAGIC) + 8 * len(fields) + len(path)) % 4)
    out += entry.data + bytes(-len(entry.data) % 4)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")

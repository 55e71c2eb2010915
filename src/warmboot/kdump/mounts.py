"""Mounting a file system to save a dump to: mount(2) itself, as a capture initrd need not have mount and its libraries.

The kernel loads a file system's module by its name ("fs-ext4") when it is first asked for it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from warmboot.errors import RefusedError
from warmboot.visible import visible

__all__ = ["MountPoint", "device_path", "mount_of", "mounted", "mounted_device"]

_TYPES = ("ext4", "xfs", "btrfs", "f2fs", "vfat", "exfat")
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_NOT_THIS_TYPE = (errno.EINVAL, errno.ENODEV, errno.EUCLEAN)
_LINKS = {"UUID": "by-uuid", "LABEL": "by-label", "PARTUUID": "by-partuuid", "PARTLABEL": "by-partlabel"}

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class MountPoint:
    """A mounted file system: `root` is the folder of it that is seen at `point`."""

    point: Path
    root: str
    type: str
    source: str


def mount_of(path: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> MountPoint | None:
    """The file system that has `path`, which need not exist yet; None where it cannot be told (proc(5), mountinfo)."""
    try:
        lines = mountinfo.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    where, best = path.resolve(), None
    for line in lines:
        words, _, rest = line.partition(" - ")
        parts, more = words.split(" "), rest.split(" ")
        if len(parts) < 6 or len(more) < 2:
            continue
        point = Path(_unescaped(parts[4]))
        # A later mount covers an earlier one.
        if where.is_relative_to(point) and (best is None or len(point.parts) >= len(best.point.parts)):
            best = MountPoint(point, _unescaped(parts[3]), more[0], _unescaped(more[1]))
    return best


def _unescaped(text: str) -> str:
    """mountinfo writes space, tab, newline and backslash as octal numbers."""
    for code in (0o40, 0o11, 0o12, 0o134):
        text = text.replace(f"\\{code:03o}", chr(code))
    return text


def device_path(device: str, wait: float, root: Path = Path("/")) -> Path:
    """The block device: a path, or a name such as UUID=... that udev has a link for. Raises RefusedError where none has
    appeared after `wait` seconds."""
    kind, equals, value = device.partition("=")
    if equals and kind in _LINKS:
        path = root / "dev/disk" / _LINKS[kind] / _escaped(value)
    else:
        path = root / device.lstrip("/")
    end = time.monotonic() + wait
    while not path.is_block_device():
        if time.monotonic() >= end:
            raise RefusedError(
                f"{visible(device)}: no such block device",
                hint="see that its driver is in the initrd: name it in modules, or ask blkid",
            )
        time.sleep(0.1)
    return path


def _escaped(value: str) -> str:
    """udev writes a slash and a space in the names of its links as \\x2f and \\x20."""
    return value.replace("/", "\\x2f").replace(" ", "\\x20")


@contextmanager
def mounted_device(device: Path, kind: str, point: Path) -> Iterator[Path]:
    """A device's file system at `point`, of that type, or of the first one that it is. Raises RefusedError."""
    with mounted(str(device), [(each, "") for each in ([kind] if kind else _TYPES)], point) as at:
        yield at


@contextmanager
def mounted(source: str, ways: Sequence[tuple[str, str]], point: Path) -> Iterator[Path]:
    """`source` mounted at `point`, which is made, by the first of `ways` that works: a type, and the file system's
    options. It is unmounted in the end. Raises RefusedError with what the kernel said of the last one."""
    point.mkdir(parents=True, exist_ok=True)
    said = ""
    for kind, options in ways:
        number = _mount(source, point, kind, options)
        if not number:
            break
        said = f"{kind}{f' ({options})' if options else ''}: {os.strerror(number)}"
        if number not in _NOT_THIS_TYPE and not options:
            raise _refused(source, said)
    else:
        raise _refused(source, said)
    try:
        yield point
    finally:
        os.sync()
        _libc.umount2(os.fsencode(point), 0)


def _mount(source: str, point: Path, kind: str, options: str) -> int:
    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    words = [os.fsencode(source), os.fsencode(point), kind.encode()]
    if _libc.mount(*words, flags, options.encode() or None) == 0:
        return 0
    return ctypes.get_errno()


def _refused(source: str, said: str) -> RefusedError:
    return RefusedError(
        f"{visible(source)}: cannot be mounted: {said}",
        hint="try it by hand: mount; is the file system's module there?",
    )

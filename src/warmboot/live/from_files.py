"""Facts out of what people have: a pasted /proc/iomem, a kernel log, an sosreport as a folder or an archive."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from warmboot.errors import InputError
from warmboot.live.devices import LISTED_PCI
from warmboot.live.gathered import CONFIG, LOG, MACHINE, MOST_BYTES, facts_of, is_folder, known_name
from warmboot.live.kernel_config import DECIDING
from warmboot.live.tar import is_tar, tar_files
from warmboot.memmap import Facts
from warmboot.memmap.iomem import MOST_LINES
from warmboot.visible import visible

__all__ = ["facts_from"]

_IOMEM = re.compile(r"^ *[0-9a-f]{1,16}-[0-9a-f]{1,16} : \S[^\r\n]*", re.MULTILINE)
_UNAME = re.compile(r"^Linux \S{1,255} ([0-9]{1,5}\.[0-9]\S{0,200}) .{0,300}?(\S{1,40}) GNU/Linux", re.MULTILINE)
_DEVICE = re.compile(r"^((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) ", re.MULTILINE)
_DRIVER = re.compile(r"^\s+Kernel driver in use: (\S[^\r\n]{0,62})", re.MULTILINE)
_MEMTOTAL = re.compile(r"^MemTotal: +[0-9]+ kB", re.MULTILINE)
_HINT = "give /proc/iomem as root reads it, a kernel log with its e820 lines, or an sosreport"
_LOGS = ("sos_commands/kernel/dmesg", "sos_commands/kernel/dmesg_-T", "sos_commands/logs/journalctl_--no-pager_--boot")
_UNAMES = ("uname", "sos_commands/kernel/uname_-a", "sos_commands/host/uname_-a")
_LSPCI = ("sos_commands/pci/lspci_-nnvv", "lspci")
_MOST_FILE = 8 << 20  # bytes of one file of a report
_MOST_FILES = 1 << 16


def facts_from(paths: Iterable[str]) -> tuple[Facts, list[str]]:
    """The facts of one computer, of which each path tells something; and what had to be assumed. Raises InputError."""
    found: dict[str, bytes | None] = {}
    paths = list(paths)
    for path in paths:
        try:
            mode = Path(path).stat().st_mode
            if stat.S_ISDIR(mode):
                _folder(Path(path), found)
            elif stat.S_ISREG(mode) and is_tar(Path(path)):
                _archive(path, found)
            else:
                with Path(path).open("rb") as file:
                    text = file.read(MOST_BYTES + 1)
                if len(text) > MOST_BYTES:
                    raise InputError(f"{path}: more than {MOST_BYTES} bytes", hint=_HINT)
                if not _paste(text, found):
                    raise InputError(f"{path}: no memory map, no kernel log, no 'uname -a' in it", hint=_HINT)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}", hint=_HINT) from None
    return facts_of(found, visible(", ".join(paths), most=100))


def _paste(data: bytes, found: dict[str, bytes | None]) -> bool:
    """Whether something was in it. Raises InputError."""
    had = False
    text = data.decode("ascii", "surrogateescape")
    lines = [match[0] for match in islice(_IOMEM.finditer(text), MOST_LINES + 2)]
    if any(line.rstrip().endswith(": System RAM") for line in lines):
        indent = min(len(each) - len(each.lstrip(" ")) for each in lines)
        found["proc/iomem"] = _bytes("\n".join(each[indent:] for each in lines)) + b"\n"
        had = True
    if "BIOS-e820: " in text or "Linux version " in text:
        found[LOG] = (found.get(LOG) or b"") + data
        if len(found[LOG] or b"") > MOST_BYTES:
            raise InputError(f"kernel logs of more than {MOST_BYTES} bytes", hint=_HINT)
        had = True
    if uname := _UNAME.search(text):
        found["proc/sys/kernel/osrelease"], found[MACHINE] = _bytes(uname[1]), _bytes(uname[2])
        had = True
    if bound := _bound(text):
        found[LISTED_PCI] = bound
        had = True
    if memory := _MEMTOTAL.search(text):
        found["proc/meminfo"] = _bytes(memory[0]) + b"\n"
        had = True
    return had


def _bound(text: str) -> bytes:
    """What `lspci -k` prints of devices and their drivers, as lines of LISTED_PCI."""
    found = []
    parts = _DEVICE.split(text)
    for address, about in zip(parts[1::2], parts[2::2], strict=True):
        if driver := _DRIVER.search(about):
            whole = address if address.count(":") > 1 else f"0000:{address}"
            found.append(f"{whole} {driver[1].strip()}\n")
    return _bytes("".join(found))


def _bytes(text: str) -> bytes:
    return text.encode("ascii", "surrogateescape")


def _folder(root: Path, found: dict[str, bytes | None]) -> None:
    """An sosreport that is unpacked, or the folder around it."""
    inner = [each for each in root.iterdir() if each.is_dir()]
    if not (root / "proc").is_dir() and len(inner) == 1:
        root = inner[0]
    if not (root / "proc").is_dir():
        raise InputError(f"{root}: no folder proc in it, which an sosreport has", hint=_HINT)
    kept = _Kept(str(root))
    for where, folders, names in os.walk(root):
        inside = os.path.relpath(where, root)
        folders[:] = [each for each in folders if _goes_on(os.path.normpath(f"{inside}/{each}"))]
        for each in names:
            name = os.path.normpath(f"{inside}/{each}")
            if _wanted(name) and (content := _regular(f"{where}/{each}")) is not None:
                kept.add(name, content)
    _report(kept.files, found, str(root))


def _regular(path: str) -> bytes | None:
    """What is in a regular file; None for links, which lead anywhere, and for pipes and devices."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENODEV):
            return None
        raise
    with open(file, "rb") as opened:  # noqa: PTH123 - it is a descriptor
        return opened.read(_MOST_FILE) if stat.S_ISREG(os.fstat(file).st_mode) else None


def _archive(path: str, found: dict[str, bytes | None]) -> None:
    """Read from front to end; nothing is unpacked to disk."""
    kept = _Kept(path)
    for name, content in tar_files(Path(path), lambda name: _wanted(_inner(name)), _MOST_FILE):
        kept.add(_inner(name), content)
    _report(kept.files, found, path)


def _inner(name: str) -> str:
    """The name below the folder that an sosreport is in."""
    return name.removeprefix("./").partition("/")[2]


class _Kept:
    """Files by name, so many bytes of them."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._left = MOST_BYTES
        self.files: dict[str, bytes] = {}

    def add(self, name: str, content: bytes) -> None:
        """Keep one. Raises InputError."""
        self.files[name] = content
        self._left -= len(content)
        if self._left < 0 or len(self.files) > _MOST_FILES:
            raise InputError(f"{self._path}: more than any sosreport tells of a machine", hint=_HINT)


def _goes_on(folder: str) -> bool:
    return folder.split("/", maxsplit=1)[0] in ("proc", "sys", "boot", "sos_commands") and folder.count("/") < 6


def _wanted(name: str) -> bool:
    return (
        known_name(name) is not None
        or name in _LOGS
        or name in _UNAMES
        or name in _LSPCI
        or name == "proc/cpuinfo"
        or (name.startswith("boot/config-") and name.count("/") == 1)
    )


def _report(kept: dict[str, bytes], found: dict[str, bytes | None], path: str) -> None:
    if not kept:
        raise InputError(f"{path}: nothing of an sosreport in it", hint=_HINT)
    for name, content in kept.items():
        if (chosen := known_name(name)) is not None and "/" in chosen and not is_folder(chosen):
            found[chosen] = content
    for each in _LSPCI:
        if bound := _bound(kept.get(each, b"").decode("ascii", "surrogateescape")):
            found[LISTED_PCI] = bound
    logs: Iterator[bytes] = (kept[each] for each in _LOGS if each in kept)
    found[LOG] = next(logs, b"")
    for each in _UNAMES:
        if uname := _UNAME.search(kept.get(each, b"").decode("utf-8", "replace")):
            found.setdefault("proc/sys/kernel/osrelease", uname[1].encode())
            found[MACHINE] = uname[2].encode()
    release = (found.get("proc/sys/kernel/osrelease") or b"").decode("utf-8", "replace").strip()
    config = kept.get(f"boot/config-{release}", b"")
    lines = [line for line in config.split(b"\n") if line.split(b"=")[0].decode("ascii", "replace") in DECIDING]
    if config:
        found[CONFIG] = b"\n".join(lines) + b"\n"

"""The facts of the computer that this runs on, from /proc and /sys."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from warmboot.errors import InputError
from warmboot.live.arch.x86_64.firmware import rsdp
from warmboot.memmap import Facts

__all__ = ["read_facts"]

_HINT = "run it on Linux, as root, with /proc and /sys mounted"


def read_facts(root: Path = Path("/")) -> Facts:
    """The facts; `root` is where proc/ and sys/ are found. Raises InputError where the main ones cannot be read."""
    cpuinfo = _text(root / "proc/cpuinfo")
    cpu_flags = set(" ".join(re.findall(r"^flags\s*: (.*)$", cpuinfo, re.MULTILINE)[:1]).split())
    cmdline = _text(root / "proc/cmdline").rstrip("\n")
    meminfo = re.search(r"^MemTotal:\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    if meminfo is None:
        raise InputError(f"{root / 'proc/meminfo'}: no MemTotal", hint=_HINT)
    page_size = os.sysconf("SC_PAGE_SIZE")
    return Facts(
        release=_text(root / "proc/sys/kernel/osrelease").strip(),
        machine=os.uname().machine,
        cmdline=cmdline,
        iomem=_text(root / "proc/iomem"),
        page_size=page_size,
        totalram_pages=int(meminfo[1]) * 1024 // page_size,
        lockdown=_optional(root / "sys/kernel/security/lockdown") or "[none]",
        kexec_crash_size=_first(
            root / "sys/kernel/kexec/crash_size",  # since Linux 6.19
            root / "sys/kernel/kexec_crash_size",
        ),
        la57="la57" in cpu_flags and "no5lvl" not in cmdline.split(),
        cpus=len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)) or 1,
        rsdp=rsdp(str(root)),
        gbpages="pdpe1gb" in cpu_flags and "nogbpages" not in cmdline.split(),
        kexec_load_disabled=_optional(root / "proc/sys/kernel/kexec_load_disabled") == "1",
        kexec_load_limit_reboot=_limit(root / "proc/sys/kernel/kexec_load_limit_reboot"),
        kexec_load_limit_panic=_limit(root / "proc/sys/kernel/kexec_load_limit_panic"),
    )


def _limit(path: Path) -> int:
    text = _optional(path) or "-1"
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{path}: {text[:40]!r} is no number", hint=_HINT) from None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", hint=_HINT) from None


def _optional(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _first(*paths: Path) -> str:
    """The text of the first file that there is, or the last one's errno name."""
    name = "ENOENT"
    for path in paths:
        try:
            return path.read_text("utf-8", "replace").strip()
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "EIO")
    return name

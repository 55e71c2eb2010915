"""The handover of the running kernel: debugfs, /proc and /sys, and its memory by /proc/kcore where that can be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from warmboot.errors import InputError, WarmbootError
from warmboot.handover.figures import HeldSession, Side
from warmboot.handover.from_file import kernel_of
from warmboot.handover.interface import HandoverError, PhysicalMemory, u64
from warmboot.handover.look import Given, Look, look
from warmboot.handover.root import Root, read_root
from warmboot.handover.scan import KhoData
from warmboot.live.files import exists, folder, text, under
from warmboot.memmap.iomem import parse_iomem
from warmboot.memmap.ranges import Range
from warmboot.numbers import number
from warmboot.uapi.liveupdate import SESSION_FILE

__all__ = ["PARAMETERS", "look_live"]

PARAMETERS = ("kho", "kho_scratch", "liveupdate", "reserve_mem")  # of the command line, that say what is handed over
_KHO = "sys/kernel/debug/kho"
_SETUP_DATA = "sys/kernel/boot_params/setup_data"
_CHOSEN = "sys/firmware/devicetree/base/chosen"
_SETUP_KEXEC_KHO = 10
_LARGEST_BLOB = 16 << 20  # bytes
_MOST_HELD = 4096


def look_live(root: str = "/") -> Look:
    """The running kernel's. `root` is / but in tests. Raises HandoverError where it has none, or does not show it."""
    incoming = _incoming(root)
    memory, problem = _memory(root)
    problems = [problem] if problem else []
    fragments, refused = _fragments(root)
    problems += refused if memory is None else []  # memory has all of it, and better
    if memory is None and not fragments:
        raise HandoverError(f"the running kernel: {_why_not(root)}", hint=_hint(root))
    given = Given(
        "the running kernel",
        "/proc/kcore" if memory is not None else "debugfs alone",
        text(under(root, "proc/sys/kernel/osrelease")) or "",
        tuple(_parameters(root)),
        tuple(_ram(root)),
        tuple(_scratch(root)),
        tuple(_held(root)),
        incoming,
        fragments,
        tuple(problems),
        cache(lambda: kernel_of(Path(under(root, "proc/kcore"))) if memory is not None else None),
    )
    return look(memory, given)


def _memory(root: str) -> tuple[PhysicalMemory | None, str]:
    from warmboot.dump.elf_core import ElfCore  # noqa: PLC0415 - not where it is refused

    path = Path(under(root, "proc/kcore"))
    try:
        return ElfCore(path), ""
    except WarmbootError as error:
        return None, f"memory cannot be read: {error}; only what debugfs shows is told"


def _fragments(root: str) -> tuple[dict[Side, tuple[Root, dict[str, bytes]]], list[str]]:
    found, problems = dict[Side, tuple[Root, dict[str, bytes]]](), list[str]()
    for side, name in ((Side.OUT, "out"), (Side.IN, "in")):
        base = under(root, f"{_KHO}/{name}")
        blobs = {each: _bytes(f"{base}/sub_fdts/{each}") for each in folder(f"{base}/sub_fdts")}
        try:
            found[side] = read_root(_bytes(f"{base}/fdt")), blobs
        except WarmbootError as error:
            if exists(f"{base}/fdt"):
                problems.append(f"{base}/fdt: {error}")
    return found, problems


def _bytes(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(_LARGEST_BLOB)
    except OSError:
        return b""


def _incoming(root: str) -> KhoData | None:
    """What this kernel was booted with: setup_data, or two properties of /chosen in the device tree, big-endian."""
    base = under(root, _SETUP_DATA)
    for each in folder(base):
        if number(text(f"{base}/{each}/type") or "", 0) == _SETUP_KEXEC_KHO:
            data = _bytes(f"{base}/{each}/data")
            if len(data) >= 32:
                return KhoData(u64(data), u64(data, 16), u64(data, 24))
    fdt, scratch = (_bytes(under(root, f"{_CHOSEN}/{name}")) for name in ("linux,kho-fdt", "linux,kho-scratch"))
    if len(fdt) == 16 and len(scratch) == 16:
        return KhoData(*(int.from_bytes(each, "big") for each in (fdt[:8], scratch[:8], scratch[8:])))
    return None


def _scratch(root: str) -> Iterator[Range]:
    starts, sizes = (
        [number(line, 0) for line in (text(under(root, f"{_KHO}/out/{name}")) or "").split()]
        for name in ("scratch_phys", "scratch_len")
    )
    for start, size in zip(starts, sizes, strict=False):
        if start is not None and size:
            yield Range(start, start + size)


def _parameters(root: str) -> Iterator[str]:
    for word in (text(under(root, "proc/cmdline")) or "").split():
        if word.partition("=")[0] in PARAMETERS:
            yield word


def _ram(root: str) -> Iterator[Range]:
    """System RAM; none where the kernel shows zeros for addresses."""
    try:
        resources = parse_iomem(text(under(root, "proc/iomem")) or "")
    except InputError:
        return
    yield from (each.range for each in resources if each.name == "System RAM")


def _held(root: str) -> Iterator[HeldSession]:
    """Sessions that processes hold, by the links of their descriptors: Linux names them there."""
    count = 0
    for pid in folder(under(root, "proc")):
        if not pid.isdigit():
            continue
        base = under(root, f"proc/{pid}")
        for each in folder(f"{base}/fd"):
            try:
                target = os.readlink(f"{base}/fd/{each}")  # noqa: PTH115 - thousands of them
            except OSError:
                continue
            if target.startswith(SESSION_FILE) and count < _MOST_HELD:
                count += 1
                yield HeldSession(target.removeprefix(SESSION_FILE), int(pid), text(f"{base}/comm") or "")


def _why_not(root: str) -> str:
    if exists(under(root, _KHO)):
        return "shows nothing of its handover"
    if os.geteuid() != 0:
        return "debugfs and memory are for root"
    return "no handover: KHO is off, or debugfs is not mounted"


def _hint(root: str) -> str:
    if os.geteuid() != 0:
        return "run it as root"
    if not exists(under(root, "sys/kernel/debug/sleep_time")) and not list(folder(under(root, "sys/kernel/debug"))):
        return "mount -t debugfs none /sys/kernel/debug"
    return "boot a kernel with CONFIG_KEXEC_HANDOVER by kho=on; docs/handover.md says which have it"

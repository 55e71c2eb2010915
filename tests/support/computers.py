"""Made-up computers: a tree of files like /proc and /sys, which our readers and kexec-tools read alike."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.kexec_tools import kexec_tools
from support.peer import Captured, captured

__all__ = ["Files", "iomem", "memmap", "small_kernel", "told", "tree", "zero_page"]

Files = dict[str, str | bytes]  # by their paths below the root

# What kexec-tools needs to find before it looks at what a test is about.
_PROC = {"proc/mounts": "sysfs /sys sysfs rw 0 0\n", "proc/cmdline": "quiet\n"}


def tree(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """`root` with these files, which stand for a computer's."""
    for name, content in {**_PROC, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    (root / "sys").mkdir(exist_ok=True)
    return root


def memmap(entries: Sequence[tuple[int, int, str]]) -> dict[str, str]:
    """/sys/firmware/memmap of (first byte, last byte, type)."""
    files = {}
    for number, (start, end, kind) in enumerate(entries):
        for name, value in (("start", f"{start:#x}"), ("end", f"{end:#x}"), ("type", kind)):
            files[f"sys/firmware/memmap/{number}/{name}"] = value + "\n"
    return files


def iomem(entries: Sequence[tuple[int, int, str]]) -> dict[str, str]:
    """/proc/iomem of (first byte, last byte, name); two spaces before a name nest it."""
    lines = (
        f"{' ' * (len(name) - len(name.lstrip()))}{start:08x}-{end:08x} : {name.lstrip()}\n"
        for start, end, name in entries
    )
    return {"proc/iomem": "".join(lines)}


def small_kernel(folder: Path, *, xloadflags: int = 0x1F) -> Path:
    """A bzImage of two pages, enough to be loaded."""
    image = bytearray(8192)
    struct.pack_into("<B", image, 0x1F1, 3)  # setup_sects
    image[0x1FE:0x206] = b"\x55\xaa\xeb\x66HdrS"
    struct.pack_into("<H", image, 0x206, 0x20F)  # version
    struct.pack_into("<B", image, 0x211, 1)  # loadflags
    struct.pack_into("<II", image, 0x22C, 0x7FFFFFFF, 1 << 20)  # initrd_addr_max, kernel_alignment
    struct.pack_into("<BBH", image, 0x234, 1, 20, xloadflags)  # relocatable_kernel, min_alignment
    struct.pack_into("<I", image, 0x238, 2047)  # cmdline_size
    struct.pack_into("<QI", image, 0x258, 1 << 20, 1 << 20)  # pref_address, init_size
    path = folder / "vmlinuz"
    path.write_bytes(image)
    return path


def told(root: Path, kernel: Path, *words: str, suite: str = "sid") -> Captured:
    """What kexec-tools does on the computer of `root` with a load by kexec_load; sid's is 2.0.32 or later."""
    return captured([*kexec_tools(suite), "-d", "-c", "-l", kernel, *words], root)


def zero_page(found: Captured) -> bytes:
    """The parameters that the kernel is given, and what lies behind them in the same segment."""
    (page,) = (each.data for each in found.load.segments if each.data[0x202:0x206] == b"HdrS")
    return page

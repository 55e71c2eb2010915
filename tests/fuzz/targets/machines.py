"""Facts of machines: as JSON, as /proc/iomem, and as the files of /proc and /sys."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from warmboot.errors import WarmbootError
from warmboot.kernel import Kernel, PhysicalMemory
from warmboot.live import status
from warmboot.live.arch.x86_64.firmware import read_firmware
from warmboot.live.arch.x86_64.screen import frame_buffer, screen_info
from warmboot.live.cmdline import reused
from warmboot.live.computer import read_computer
from warmboot.live.crash import read_dump_facts
from warmboot.live.facts import read_facts
from warmboot.memmap import Facts, Range, e820_of_iomem, parse_iomem
from warmboot.placement.host import Host

__all__ = ["facts", "iomem", "live"]

_SMALL = 1 << 34  # bytes: larger machines are as good, and cost a map of their frames each
_ROOT = Path(tempfile.gettempdir())
FILES = (
    *("proc/cmdline", "proc/cpuinfo", "proc/iomem", "proc/kallsyms", "proc/kcore", "proc/meminfo"),
    *("proc/sys/kernel/osrelease", "proc/sys/kernel/kexec_load_disabled"),
    *("proc/sys/kernel/kexec_load_limit_reboot", "proc/sys/kernel/kexec_load_limit_panic"),
    *("sys/devices/system/cpu/cpu0/crash_notes", "sys/devices/system/cpu/cpu0/crash_notes_size"),
    *("sys/devices/system/cpu/possible", "sys/kernel/vmcoreinfo", "sys/kernel/kexec_crash_size"),
    *("sys/kernel/kexec_loaded", "sys/kernel/kexec_crash_loaded", "sys/kernel/security/lockdown"),
    *("sys/kernel/boot_params/data", "sys/firmware/efi/systab", "sys/firmware/efi/fw_vendor"),
    *("sys/firmware/efi/config_table", "sys/firmware/efi/runtime"),
    *(f"sys/firmware/efi/runtime-map/0/{each}" for each in ("type", "phys_addr", "virt_addr", "num_pages")),
    "sys/firmware/efi/runtime-map/0/attribute",
    *(f"sys/firmware/memmap/0/{each}" for each in ("start", "end", "type")),
    *(f"sys/firmware/edd/int13_dev80/{each}" for each in ("version", "extensions", "raw_data", "mbr_signature")),
    *(f"sys/firmware/edd/int13_dev80/legacy_{each}" for each in ("max_cylinder", "max_head", "sectors_per_track")),
    *("sys/kernel/kexec_crash_elfcorehdr_size", "proc/config.gz", "boot/config-6.12.0"),
    *("sys/devices/system/node/node0/cpulist", "sys/devices/system/node/node0/memory1/state"),
    "sys/devices/system/memory/block_size_bytes",
    "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
)


def facts(data: bytes) -> None:
    """Facts as JSON, and a kernel on that machine, if it is a small one."""
    with suppress(WarmbootError):
        found = Facts.from_json(data)
        assert Facts.from_json(found.to_json()) == found
        found.reserve(Range(1 << 20, 2 << 20))
        _ = found.crash_kernel, found.kernel_image, found.allocatable, found.release_number
        if found.system_ram[-1].end <= _SMALL:
            with PhysicalMemory.of(found) as memory:
                Kernel(found, memory)


def iomem(data: bytes) -> None:
    """/proc/iomem, and the memory map that it means: sorted, and nothing twice."""
    with suppress(WarmbootError):
        entries = e820_of_iomem(parse_iomem(data.decode("utf-8", "replace")))
        for one, other in pairwise(entries):
            assert one.range.end <= other.range.start


def live(data: bytes) -> None:
    """Files of /proc and /sys: each is a byte that names it, two bytes of length, and so many bytes."""
    screens(data)
    root = Path(tempfile.mkdtemp(dir=_ROOT))
    try:
        at = 0
        while at + 3 <= len(data):
            path, size = FILES[data[at] % len(FILES)], int.from_bytes(data[at + 1 : at + 3], "little") % 5000
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data[at + 3 : at + 3 + size])
            at += 3 + size
        _read_all(root)
    finally:
        shutil.rmtree(root)


def _read_all(root: Path) -> None:
    where = str(root)
    with suppress(WarmbootError):
        read_facts(root)
    with suppress(WarmbootError):
        host: Host = read_computer(where)
        assert all(each.start < each.end for each in host.system_ram)
    with suppress(WarmbootError):
        read_dump_facts(where)
    with suppress(OSError):
        reused(where, panic=True)
    read_firmware(where, reuse_video_type=True)
    for each in (status.loaded, status.crash_loaded, status.crash_size, status.crash_elfcorehdr_size):
        each(where)


def screens(data: bytes) -> None:
    """What a frame buffer's driver tells: both structures as the kernel copies them, then the zero page."""
    fb = data[:80].ljust(80, b"\0"), data[80:240].ljust(160, b"\0")
    for page in (b"", data[240:4336].ljust(4096, b"\0")):
        assert len(screen_info(fb, page, reuse_video_type=True)) in (0, 64)
    frame_buffer(fb)

"""Facts of a guest that hands over, gathered as `warmboot facts` gathers them: from its own /proc and /sys."""

from __future__ import annotations

import tempfile
from pathlib import Path

from support.kho_guest import GuestRefusedError, KhoGuest
from warmboot.live.facts import read_facts
from warmboot.memmap import Facts

__all__ = ["facts_of_guest"]

_FILES = (
    *("proc/cmdline", "proc/config.gz", "proc/cpuinfo", "proc/iomem", "proc/meminfo", "proc/sys/kernel/osrelease"),
    *("sys/kernel/boot_params/data", "sys/kernel/debug/kho/out/fdt", "sys/kernel/debug/kho/out/scratch_len"),
    "sys/kernel/debug/kho/in/fdt",
    *("sys/kernel/debug/kho/out/scratch_phys", "sys/kernel/debug/kho/out/sub_fdts/LUO"),
)


def facts_of_guest(guest: KhoGuest, kernel: Path | None = None) -> Facts:
    """What `warmboot facts` would print there; `kernel` is its /boot/vmlinuz."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in _FILES:
            try:
                content: bytes = guest("read", f"/{name}")
            except GuestRefusedError:
                continue
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if kernel is not None:
            release = (root / "proc/sys/kernel/osrelease").read_text().strip()
            (root / "boot").mkdir()
            (root / "boot" / f"vmlinuz-{release}").write_bytes(kernel.read_bytes())
        return read_facts(root, machine="x86_64")

"""Which kernel modules a capture initrd needs to reach where dumps go, as this computer's devices are driven now.

/sys has each device's folder below that of the bus it hangs on; every one of them may have a driver, and a driver a
module (Documentation/driver-api/driver-model/device.rst).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from warmboot.kdump.config import KdumpConfig
from warmboot.kdump.mounts import mount_of

__all__ = ["modules_for"]

_NFS = ("nfs", "nfsv4", "nfsv3")
_TCP = "tcp"


def modules_for(config: KdumpConfig, root: Path = Path("/")) -> list[str]:
    """Names of modules, without those that are built in; what is configured comes first."""
    found = dict.fromkeys(config.modules)
    if config.ssh or config.nfs:
        for device in sorted((root / "sys/class/net").glob("*/device")):
            found |= dict.fromkeys(_driving(device))
        if config.nfs:
            found |= dict.fromkeys(_NFS)
    else:
        mount = None if config.device else mount_of(config.folder)
        kind = config.type or (mount.type if mount is not None else "")
        found |= dict.fromkeys([kind] if kind else [])
        name = config.device or (mount.source if mount is not None else "")
        if name.startswith("/dev/"):
            found |= dict.fromkeys(_block(Path(name).resolve().name, root))
    return list(found)


def _block(name: str, root: Path) -> Iterator[str]:
    """Of a block device, and of those that it is made of (RAID, LVM, encryption)."""
    folder = root / "sys/class/block" / name
    if not folder.exists():
        return
    if (folder / "dm").exists():
        yield "dm_mod"
    for below in sorted((folder / "slaves").glob("*")):
        yield from _block(below.name, root)
    yield from _driving(folder)


def _driving(device: Path) -> Iterator[str]:
    """The modules of a device's driver, and of those above it."""
    real = device.resolve()
    for folder in (real, *real.parents):
        module = folder / "driver/module"
        if module.exists():
            yield module.resolve().name

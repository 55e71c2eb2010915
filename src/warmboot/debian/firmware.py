"""EFI firmware for guests, from Debian's package, where this computer has none installed."""

from __future__ import annotations

import shutil
from pathlib import Path

from warmboot.debian.cache import cache_folder, locked
from warmboot.debian.packages import Suite, unpack
from warmboot.errors import RefusedError

__all__ = ["efi_firmware"]

_SUITE, _PACKAGE, _FILE = "bookworm", "ovmf", "usr/share/ovmf/OVMF.fd"


def efi_firmware(cache: Path | None = None) -> Path:
    """OVMF as one image, which QEMU's -bios takes; fetched unless it is in the cache. Raises RefusedError."""
    folder = cache_folder(cache) / "firmware"
    path = folder / "OVMF.fd"
    with locked(folder / "lock"):
        if not path.exists():
            [deb] = Suite(_SUITE, cache).fetch([_PACKAGE])
            root = folder / "unpacked"
            try:
                unpack(deb, root)
                if not (root / _FILE).is_file():
                    raise RefusedError(f"{_PACKAGE} holds no {_FILE}", hint="as root: apt-get install ovmf")
                (root / _FILE).replace(path)
            finally:
                shutil.rmtree(root, ignore_errors=True)
    return path

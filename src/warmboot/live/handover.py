"""What the running kernel hands over to the next one, for its facts: /sys/kernel/debug/kho, as root; the initrd's size.

debugfs tells the versions of KHO and LUO that it writes; what handlers of files it has, the kernel's own file tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from warmboot.dump.kernel_abi import HANDLERS, compatible_in, kernel_abi
from warmboot.errors import WarmbootError
from warmboot.live.files import exists, read, text, under

__all__ = ["read_handover"]

_KHO = "sys/kernel/debug/kho/out"
_TREES = (
    ("kho", f"{_KHO}/fdt"),
    ("kho", "sys/kernel/debug/kho/in/fdt"),  # a kernel that was handed over to does not show its own; it is the same
    ("luo", f"{_KHO}/sub_fdts/LUO"),
)
_BOOT_PARAMS = "sys/kernel/boot_params/data"
_RAMDISK_SIZE, _EXT_RAMDISK_SIZE = 0x21C, 0xC4  # Documentation/arch/x86/boot.rst
_MOST = 1 << 16  # bytes of a tree, which has a page


def read_handover(release: str, config: Mapping[str, str] | None, root: str = "/") -> dict[str, str] | None:
    """The member `handover` of the facts; None where the kernel cannot hand over, or nobody may know."""
    found: dict[str, str] = {}
    for name, path in _TREES:
        for text_ in compatible_in(_bytes(under(root, path))).get(name, ())[-1:]:
            found.setdefault(name, text_)
    for name in ("scratch_phys", "scratch_len"):
        value = text(under(root, f"{_KHO}/{name}"))
        if value:
            found[name] = " ".join(value.split())
    if not found and (config or {}).get("CONFIG_KEXEC_HANDOVER") != "y":
        return None
    found |= _handlers(release, root) if "luo" in found else {}
    size = _initrd(_bytes(under(root, _BOOT_PARAMS)))
    return found | ({} if size is None else {"initrd": str(size)})


def _handlers(release: str, root: str) -> dict[str, str]:
    """The handlers of files that the running kernel's own file has."""
    names = () if "/" in release else (f"boot/vmlinuz-{release}", f"lib/modules/{release}/vmlinuz")
    path = next((each for each in (under(root, name) for name in names) if exists(each)), None)
    if path is None:
        return {}
    try:
        abi = kernel_abi(Path(path))
    except WarmbootError:
        return {}
    if abi.release != release:
        return {}
    return {name: each[-1] for name, each in abi.compatible.items() if name in HANDLERS}


def _initrd(params: bytes) -> int | None:
    if len(params) < _RAMDISK_SIZE + 4:
        return None
    low, high = (int.from_bytes(params[each : each + 4], "little") for each in (_RAMDISK_SIZE, _EXT_RAMDISK_SIZE))
    return low | high << 32


def _bytes(path: str) -> bytes:
    try:
        return read(path)[:_MOST]
    except (OSError, ValueError):
        return b""

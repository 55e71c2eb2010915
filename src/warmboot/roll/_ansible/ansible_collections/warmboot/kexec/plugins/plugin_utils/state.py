"""What a machine says of the kernel that runs on it, by a script for any POSIX shell."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["STATE", "read_state"]

# boot_id changes with every boot. bootloader_type is x86's type_of_loader (Documentation/arch/x86/boot.rst): 0xD. is
# kexec, by either call. On arm64 and riscv64 kexec_file_load leaves a property in the device tree (drivers/of/kexec.c).
STATE = """\
echo "boot_id=$(cat /proc/sys/kernel/random/boot_id)"
echo "release=$(uname -r)"
if [ -r /proc/sys/kernel/bootloader_type ]; then echo "loader=$(cat /proc/sys/kernel/bootloader_type)"; fi
if [ -e /proc/device-tree/chosen/linux,booted-from-kexec ]; then echo "loader=device-tree"; fi
"""
_KEXEC = 0xD
_BOOT_ID = re.compile(r"[0-9a-f-]{36}")
_RELEASE = re.compile(r"[\x21-\x7e]{1,128}")


def read_state(output: str) -> dict[str, Any] | None:
    """boot_id, release, and how the kernel was started: kexec, firmware, or None where it cannot be told.

    None where the output is not what the script prints.
    """
    found: dict[str, str] = {}
    for line in output[:4096].splitlines():
        name, equals, value = line.partition("=")
        if equals and name in ("boot_id", "release", "loader"):
            found.setdefault(name, value.strip())
    if not _BOOT_ID.fullmatch(found.get("boot_id", "")) or not _RELEASE.fullmatch(found.get("release", "")):
        return None
    return {"boot_id": found["boot_id"], "release": found["release"], "how": _how(found.get("loader", ""))}


def _how(loader: str) -> str | None:
    if loader == "device-tree":
        return "kexec"
    if not loader.isascii() or not loader.isdecimal() or len(loader) > 8:
        return None
    return "kexec" if int(loader) >> 4 == _KEXEC else "firmware"

"""The flags of include/uapi/linux/kexec.h, as of Linux 7.2, as plain numbers: enums cost more than `kexec -S`."""

from __future__ import annotations

__all__ = [
    "KEXEC_CRASH_HOTPLUG_SUPPORT",
    "KEXEC_FILE_DEBUG",
    "KEXEC_FILE_FORCE_DTB",
    "KEXEC_FILE_NO_CMA",
    "KEXEC_FILE_NO_INITRAMFS",
    "KEXEC_FILE_ON_CRASH",
    "KEXEC_FILE_UNLOAD",
    "KEXEC_ON_CRASH",
    "KEXEC_PRESERVE_CONTEXT",
    "KEXEC_UPDATE_ELFCOREHDR",
]

# Of kexec_load.
KEXEC_ON_CRASH = 0x1
KEXEC_PRESERVE_CONTEXT = 0x2
KEXEC_UPDATE_ELFCOREHDR = 0x4  # since 6.6
KEXEC_CRASH_HOTPLUG_SUPPORT = 0x8  # since 6.10

# Of kexec_file_load.
KEXEC_FILE_UNLOAD = 0x1
KEXEC_FILE_ON_CRASH = 0x2
KEXEC_FILE_NO_INITRAMFS = 0x4
KEXEC_FILE_DEBUG = 0x8  # since 6.8
KEXEC_FILE_NO_CMA = 0x10  # since 6.17
KEXEC_FILE_FORCE_DTB = 0x20  # since 6.18

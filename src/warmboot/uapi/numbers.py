"""Numbers of include/uapi/linux/kexec.h, as of Linux 7.2: plain ones, as making flags of them costs time at a start."""

from __future__ import annotations

__all__ = [
    "KEXEC_ARCH_MASK",
    "KEXEC_CRASH_HOTPLUG_SUPPORT",
    "KEXEC_FILE_DEBUG",
    "KEXEC_FILE_FORCE_DTB",
    "KEXEC_FILE_NO_CMA",
    "KEXEC_FILE_NO_INITRAMFS",
    "KEXEC_FILE_ON_CRASH",
    "KEXEC_FILE_UNLOAD",
    "KEXEC_ON_CRASH",
    "KEXEC_PRESERVE_CONTEXT",
    "KEXEC_SEGMENT_MAX",
    "KEXEC_UPDATE_ELFCOREHDR",
]

# kexec_load: flags in the low half; which are legal depends on the release (see kernel.profile).
KEXEC_ON_CRASH = 0x1
KEXEC_PRESERVE_CONTEXT = 0x2
KEXEC_UPDATE_ELFCOREHDR = 0x4  # since 6.6
KEXEC_CRASH_HOTPLUG_SUPPORT = 0x8  # since 6.10
KEXEC_ARCH_MASK = 0xFFFF_0000  # an architecture in the high half

# kexec_file_load
KEXEC_FILE_UNLOAD = 0x1
KEXEC_FILE_ON_CRASH = 0x2
KEXEC_FILE_NO_INITRAMFS = 0x4
KEXEC_FILE_DEBUG = 0x8  # since 6.8
KEXEC_FILE_NO_CMA = 0x10  # since 6.17
KEXEC_FILE_FORCE_DTB = 0x20  # since 6.18

KEXEC_SEGMENT_MAX = 16  # the kernel's artificial cap

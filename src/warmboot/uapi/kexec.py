"""Flags, architectures and structures of include/uapi/linux/kexec.h, as of Linux 7.2."""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag

from warmboot.uapi import numbers

__all__ = [
    "COMPAT_SEGMENT",
    "PAGE_SHIFT",
    "PAGE_SIZE",
    "SEGMENT",
    "KexecArch",
    "KexecFileFlags",
    "KexecFlags",
    "page_align",
]

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT  # bytes: of x86_64, the one architecture there is

SEGMENT = struct.Struct("<QQQQ")  # struct kexec_segment: buf, bufsz, mem, memsz
COMPAT_SEGMENT = struct.Struct("<IIII")  # struct compat_kexec_segment: the same for a 32-bit caller


class KexecFlags(IntFlag):
    """Flags of kexec_load in the low half; which are legal depends on the release (see kernel.profile)."""

    ON_CRASH = numbers.KEXEC_ON_CRASH
    PRESERVE_CONTEXT = numbers.KEXEC_PRESERVE_CONTEXT
    UPDATE_ELFCOREHDR = numbers.KEXEC_UPDATE_ELFCOREHDR
    CRASH_HOTPLUG_SUPPORT = numbers.KEXEC_CRASH_HOTPLUG_SUPPORT


class KexecFileFlags(IntFlag):
    """Flags of kexec_file_load."""

    UNLOAD = numbers.KEXEC_FILE_UNLOAD
    ON_CRASH = numbers.KEXEC_FILE_ON_CRASH
    NO_INITRAMFS = numbers.KEXEC_FILE_NO_INITRAMFS
    DEBUG = numbers.KEXEC_FILE_DEBUG
    NO_CMA = numbers.KEXEC_FILE_NO_CMA
    FORCE_DTB = numbers.KEXEC_FILE_FORCE_DTB


class KexecArch(IntEnum):
    """Architectures in the high half of kexec_load's flags: the ELF machine number, shifted."""

    DEFAULT = 0 << 16
    I386 = 3 << 16
    M68K = 4 << 16
    MIPS = 8 << 16
    MIPS_LE = 10 << 16
    PARISC = 15 << 16
    PPC = 20 << 16
    PPC64 = 21 << 16
    S390 = 22 << 16
    ARM = 40 << 16
    SH = 42 << 16
    IA_64 = 50 << 16
    X86_64 = 62 << 16
    AARCH64 = 183 << 16
    RISCV = 243 << 16
    LOONGARCH = 258 << 16


def page_align(size: int) -> int:
    """`size` bytes, rounded up to whole pages."""
    return -(-size // PAGE_SIZE) * PAGE_SIZE

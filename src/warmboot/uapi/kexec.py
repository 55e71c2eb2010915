"""Numbers and structures of include/uapi/linux/kexec.h, as of Linux 7.2."""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag

__all__ = [
    "COMPAT_SEGMENT",
    "KEXEC_ARCH_MASK",
    "KEXEC_SEGMENT_MAX",
    "PAGE_SHIFT",
    "PAGE_SIZE",
    "SEGMENT",
    "KexecArch",
    "KexecFileFlags",
    "KexecFlags",
    "page_align",
]

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT  # bytes, x86

KEXEC_SEGMENT_MAX = 16  # the kernel's artificial cap
KEXEC_ARCH_MASK = 0xFFFF_0000

SEGMENT = struct.Struct("<QQQQ")  # struct kexec_segment: buf, bufsz, mem, memsz
COMPAT_SEGMENT = struct.Struct("<IIII")  # struct compat_kexec_segment: the same for a 32-bit caller


class KexecFlags(IntFlag):
    """Flags of kexec_load in the low half; which are legal depends on the release (see kernel.profile)."""

    ON_CRASH = 0x1
    PRESERVE_CONTEXT = 0x2
    UPDATE_ELFCOREHDR = 0x4  # since 6.6
    CRASH_HOTPLUG_SUPPORT = 0x8  # since 6.10


class KexecFileFlags(IntFlag):
    """Flags of kexec_file_load."""

    UNLOAD = 0x1
    ON_CRASH = 0x2
    NO_INITRAMFS = 0x4
    DEBUG = 0x8  # since 6.8
    NO_CMA = 0x10  # since 6.17
    FORCE_DTB = 0x20  # since 6.18


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

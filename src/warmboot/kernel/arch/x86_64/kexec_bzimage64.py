"""The bzImage loader of kexec_file_load (arch/x86/kernel/kexec-bzimage64.c), the only one that x86_64 has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from warmboot.formats.reading import has, u16, u32
from warmboot.kernel import rules
from warmboot.kernel.arch.interface import Part
from warmboot.memmap import Facts
from warmboot.uapi import PAGE_SIZE, KexecFileRequest

if TYPE_CHECKING:
    from warmboot.kernel.state import KernelState

__all__ = ["BzImage64"]

_SECTOR = 512
_PURGATORY = Part("purgatory", 24 << 10, 0x3000, PAGE_SIZE)  # about: arch/x86/purgatory
_BOOTPARAM = Part("boot parameters", 0x1000 + 0x2000, 0x3000, PAGE_SIZE)  # about: with EFI's and e820's parts
_MIN_KERNEL, _MIN_INITRD = 0x100000, 0x1000000
_MAX_ELFCOREHDR_STR_LEN = 30  # bytes kept free in a crash kernel's command line

# Documentation/arch/x86/boot.rst
_SETUP_SECTS, _BOOT_FLAG, _HEADER, _VERSION, _LOADFLAGS = 0x1F1, 0x1FE, 0x202, 0x206, 0x211
_KERNEL_ALIGNMENT, _XLOADFLAGS, _CMDLINE_SIZE, _INIT_SIZE = 0x230, 0x236, 0x238, 0x260
_LOADED_HIGH = 1
_XLF_KERNEL_64, _XLF_CAN_BE_LOADED_ABOVE_4G, _XLF_5LEVEL = 0x1, 0x2, 0x20


class BzImage64:
    """bzImage64_probe, and bzImage64_load up to where it begins to place."""

    least_initrd = _MIN_INITRD

    def probe(self, facts: Facts, data: memoryview) -> str:
        """What is wrong with the file, in the order in which Linux looks."""
        if data.nbytes < 2 * _SECTOR:
            return f"the file has {data.nbytes} bytes, too few for a bzImage"
        version, xloadflags = u16(data, _VERSION), u16(data, _XLOADFLAGS)
        problems = (
            (not has(data, _HEADER, b"HdrS"), "the file is no bzImage"),
            (u16(data, _BOOT_FLAG) != 0xAA55, "the file has no boot sector's mark"),
            (version < 0x020C, f"boot protocol {version >> 8}.{version & 0xFF:02d} is older than 2.12"),
            (not data[_LOADFLAGS] & _LOADED_HIGH, "a zImage, which lies below 1 MiB"),
            (not xloadflags & _XLF_KERNEL_64, "a 32-bit kernel, without the 64-bit entry"),
            (not xloadflags & _XLF_CAN_BE_LOADED_ABOVE_4G, "a kernel that cannot be loaded above 4 GiB"),
            (
                facts.la57 and not xloadflags & _XLF_5LEVEL,
                "a kernel that cannot be entered with 5-level page tables, which the running kernel uses",
            ),
        )
        return next((text for broken, text in problems if broken), "")

    def check(self, kernel: KernelState, request: KexecFileRequest, *, on_crash: bool) -> None:
        """The size of the setup part, and the length of the command line. Raises KexecError."""
        line, data = request.command_line, request.kernel
        setup_size = (1 + (data[_SETUP_SECTS] or 4)) * _SECTOR
        if data.nbytes < setup_size:
            raise rules.TRUNCATED.refuse(
                f"the file ends after {data.nbytes} bytes, within its setup part of {setup_size}"
            )
        kernel.passed(rules.TRUNCATED)
        limit = u32(data, _CMDLINE_SIZE)
        size = len(line) + (_MAX_ELFCOREHDR_STR_LEN if on_crash else 0)
        if size > limit:
            kept = f" with {_MAX_ELFCOREHDR_STR_LEN} kept for elfcorehdr=" if on_crash else ""
            raise rules.COMMAND_LINE.refuse(
                f"the command line has {len(line)} bytes{kept}, the new kernel takes {limit}", addresses=(size, limit)
            )
        kernel.passed(rules.COMMAND_LINE)

    def parts(self, request: KexecFileRequest) -> Sequence[Part]:
        """Purgatory, parameters, kernel."""
        data = request.kernel
        align = u32(data, _KERNEL_ALIGNMENT) or PAGE_SIZE
        return _PURGATORY, _BOOTPARAM, Part("kernel", u32(data, _INIT_SIZE), _MIN_KERNEL, align)

"""The bzImage loader of kexec_file_load (arch/x86/kernel/kexec-bzimage64.c), the only one that x86_64 has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmboot.formats.reading import has, u16, u32, u64
from warmboot.kernel import rules
from warmboot.kernel.arch.x86_64.boot_parameters import MAX_ELFCOREHDR_STR_LEN, BootParameters
from warmboot.kernel.arch.x86_64.e820 import e820_table_kexec
from warmboot.kernel.kexec_buf import KexecBuf, kexec_add_buffer
from warmboot.kernel.kimage import FileParts, Kimage, KimageType
from warmboot.memmap import Facts
from warmboot.memmap.firmware import Firmware
from warmboot.purgatory.parameters import Entry
from warmboot.uapi import PAGE_SIZE, KexecFileFlags, KexecFileRequest, Readable, Segment, Source, Unreadable, page_align

if TYPE_CHECKING:
    from warmboot.kernel.arch.x86_64.profile import X86Profile
    from warmboot.kernel.state import KernelState

__all__ = ["BzImage64"]

_SECTOR = 512
_MIN_PURGATORY_ADDR, _MIN_BOOTPARAM_ADDR = 0x3000, 0x3000
_MIN_KERNEL_LOAD_ADDR, _MIN_INITRD_LOAD_ADDR = 0x100000, 0x1000000
_ENTRY_64 = 0x200
# Offsets in the file, which are those of struct boot_params too.
_SETUP_SECTS, _BOOT_FLAG, _HEADER, _VERSION, _LOADFLAGS = 0x1F1, 0x1FE, 0x202, 0x206, 0x211
_KERNEL_ALIGNMENT, _XLOADFLAGS, _CMDLINE_SIZE, _PREF_ADDRESS, _INIT_SIZE = 0x230, 0x236, 0x238, 0x258, 0x260
_U32 = 0xFFFF_FFFF
_LOADED_HIGH = 1
_XLF_KERNEL_64, _XLF_CAN_BE_LOADED_ABOVE_4G, _XLF_5LEVEL = 0x1, 0x2, 0x20


class BzImage64:
    """bzImage64_probe and bzImage64_load, for a kernel of this release."""

    def __init__(self, profile: X86Profile) -> None:
        self._profile = profile

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

    def load(self, kernel: KernelState, image: Kimage, request: KexecFileRequest) -> None:
        """Place purgatory, parameters, kernel and initrd, in this order; write the parameters. Raises KexecError."""
        data, parts = request.kernel, image.file or FileParts()
        kern16_size = (1 + (data[_SETUP_SECTS] or 4)) * _SECTOR
        self._check(kernel, request, kern16_size)
        crash = image.type is KimageType.CRASH
        if crash:
            from warmboot.kernel.arch.x86_64.crash import crash_load_segments  # noqa: PLC0415 - few images are one

            hotplug = (kernel.facts.kernel_config or {}).get("CONFIG_CRASH_HOTPLUG") != "n"
            crash_load_segments(kernel, image, parts, self._profile.elf_headers_grow_to if hotplug else 0)
        parts.purgatory = self._add(
            kernel, image, "purgatory", Readable.of(b""), self._profile.purgatory_size, least=_MIN_PURGATORY_ADDR
        )
        image.start = parts.purgatory.mem
        told = BootParameters(kernel, request.command_line)
        number = image.nr_segments
        where = self._add(kernel, image, "boot parameters", Readable.of(b""), told.size, least=_MIN_BOOTPARAM_ADDR)
        parts.parameters = where.mem
        parts.kernel = self._add_kernel(kernel, image, data, kern16_size)
        parts.entry = Entry(parts.kernel.mem + _ENTRY_64, rsi=where.mem)
        initrd = (0, 0)
        if not request.flags & KexecFileFlags.NO_INITRAMFS:
            segment = self._add(
                kernel,
                image,
                "initrd",
                request.initrd or Unreadable(),
                request.initrd_size,
                least=_MIN_INITRD_LOAD_ADDR,
            )
            initrd = segment.mem, request.initrd_size
        if crash:
            from warmboot.kernel.arch.x86_64.crash import crash_setup_memmap_entries  # noqa: PLC0415

            assert parts.elf_headers is not None
            told.elfcorehdr = parts.elf_headers.mem
            told.e820 = crash_setup_memmap_entries(kernel, parts.elf_headers_room)
        else:
            booted = kernel.booted
            firmware = Firmware() if booted.told is not None else booted.firmware
            told.e820 = e820_table_kexec(
                booted.told or kernel.facts, firmware, marks_setup_data=self._profile.marks_setup_data
            )
        packed = told.pack(data, where.mem, initrd, parts)
        image.segment[number] = where._replace(buf=Readable.of(packed), bufsz=len(packed))
        parts.command_line = told.full_command_line[:-1]
        kernel.passed(rules.HOLE)

    def _check(self, kernel: KernelState, request: KexecFileRequest, kern16_size: int) -> None:
        """The size of the setup part, and the length of the command line, which always keeps room for elfcorehdr=."""
        data, size = request.kernel, len(request.command_line)
        if data.nbytes < kern16_size:
            raise rules.TRUNCATED.refuse(
                f"the file ends after {data.nbytes} bytes, within its setup part of {kern16_size}"
            )
        kernel.passed(rules.TRUNCATED)
        limit = u32(data, _CMDLINE_SIZE)
        if size + MAX_ELFCOREHDR_STR_LEN > limit:
            kept = "" if size > limit else f" with {MAX_ELFCOREHDR_STR_LEN} kept for elfcorehdr="
            raise rules.COMMAND_LINE.refuse(
                f"the command line has {size} bytes{kept}, the new kernel takes {limit}",
                addresses=(size + MAX_ELFCOREHDR_STR_LEN, limit),
            )
        kernel.passed(rules.COMMAND_LINE)

    def _add_kernel(self, kernel: KernelState, image: Kimage, data: memoryview, kern16_size: int) -> Segment:
        least = _MIN_KERNEL_LOAD_ADDR
        if kernel.profile.kernel_from_pref_address:
            least = max(least, u64(data, _PREF_ADDRESS))
        body = data[kern16_size:]
        kbuf = KexecBuf(
            "kernel",
            Readable.of(body),
            body.nbytes,
            page_align(u32(data, _INIT_SIZE)) & _U32,  # in 32 bits, as the field is: the last page is none
            buf_align=u32(data, _KERNEL_ALIGNMENT),
            buf_min=least,
            top_down=True,
        )
        return kexec_add_buffer(kernel, image, kbuf)

    @staticmethod
    def _add(kernel: KernelState, image: Kimage, name: str, buffer: Source, size: int, *, least: int) -> Segment:
        kbuf = KexecBuf(name, buffer, size if name == "initrd" else 0, size, PAGE_SIZE, buf_min=least, top_down=True)
        return kexec_add_buffer(kernel, image, kbuf)

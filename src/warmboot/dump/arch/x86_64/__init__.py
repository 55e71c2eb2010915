"""x86-64: the kernel's page tables, of four or five levels (Intel SDM, volume 3, 4.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from warmboot.dump.arch.x86_64.registers import called, sleeping, walked
from warmboot.dump.interface import DumpError
from warmboot.dump.source import Mapped

if TYPE_CHECKING:
    from warmboot.dump.arch.interface import Cursor
    from warmboot.dump.interface import Memory
    from warmboot.dump.kernel import Kernel
    from warmboot.dump.modules import ModuleSymbols
    from warmboot.dump.vmcoreinfo import Vmcoreinfo

__all__ = ["ARCH", "X86_64"]

_KERNEL_MAP = 0xFFFFFFFF80000000  # __START_KERNEL_map
_PAGE_OFFSET = (0xFFFF888000000000, 0xFF11000000000000)  # without KASLR, of 4 and 5 levels
_PRESENT, _LARGE = 1, 1 << 7
_PAGE = 4096  # bytes
_ADDRESS = 0x000FFFFFFFFFF000


class X86_64:  # noqa: N801 - as uname -m has it
    """DumpArch."""

    section_size_bits = 27  # arch/x86/include/asm/sparsemem.h

    def translate(
        self, physical: Callable[[int, int], bytes], info: Vmcoreinfo, address: int
    ) -> tuple[int, int] | None:
        """As DumpArch says."""
        root, base = info.symbol("swapper_pg_dir"), info.number("phys_base")
        if root is None or base is None:
            raise DumpError(
                "VMCOREINFO has no swapper_pg_dir or no phys_base: virtual addresses cannot be found",
                hint="give a dump of a kernel with CONFIG_CRASH_DUMP",
            )
        encryption = info.number("sme_mask") or 0
        table = root - _KERNEL_MAP + base
        for shift in ((48,) if info.number("pgtable_l5_enabled") else ()) + (39, 30, 21, 12):
            try:
                entry = int.from_bytes(physical(table + (address >> shift & 511) * 8, 8), "little") & ~encryption
            except DumpError:  # a dump that is cut off may have the image without the page tables
                if not _in_image(info, address):
                    raise
                return address - _KERNEL_MAP + base, _PAGE - address % _PAGE
            if not entry & _PRESENT:
                return None
            table = entry & _ADDRESS
            if shift == 12 or (shift <= 30 and entry & _LARGE):
                within = address & (1 << shift) - 1
                return (table & -(1 << shift)) + within, (1 << shift) - within
        return None

    def processor(self, prstatus: bytes) -> Cursor:
        """As DumpArch says."""
        return walked(prstatus)

    def sleeping(self, kernel: Kernel, task: int) -> Cursor:
        """As DumpArch says."""
        return sleeping(kernel, task)

    def unwind(self, kernel: Kernel, modules: ModuleSymbols, start: Cursor) -> Iterator[Cursor]:
        """As DumpArch says."""
        from warmboot.dump.arch.x86_64.unwind import unwind  # noqa: PLC0415 - translating alone needs none of it

        return unwind(kernel, modules, start)

    def called(self, before: bytes) -> bool:
        """As DumpArch says."""
        return called(before)

    def kernel_map(self, memory: Memory) -> tuple[tuple[Mapped, ...], int]:
        """As DumpArch says."""
        from warmboot.dump.kallsyms import read_kallsyms  # noqa: PLC0415 - for dumps without virtual addresses alone

        info = memory.vmcoreinfo
        try:
            symbols = read_kallsyms(memory)
        except DumpError:
            symbols = None
        pointer = symbols.address("page_offset_base") if symbols else None
        base = _PAGE_OFFSET[bool(info.number("pgtable_l5_enabled"))]
        if pointer is not None:
            base = int.from_bytes(memory.virtual(pointer, 8), "little")
        start, shift = info.symbol("_stext"), info.number("phys_base")
        end = symbols.address("_end") if symbols else None
        if start is None or shift is None or end is None or not 0 < end - start < 1 << 30:
            return (), base
        return (Mapped(start - _KERNEL_MAP + shift, start, (end - start) // 4096 * 4096),), base


def _in_image(info: Vmcoreinfo, address: int) -> bool:
    """Whether only the kernel's image can be there, `phys_base` away: modules begin KERNEL_IMAGE_SIZE further on."""
    start = info.symbol("_stext")
    size = 1 << 30 if info.lines.get("KERNELOFFSET", "0") != "0" else 1 << 29
    return start is not None and start <= address < _KERNEL_MAP + size


ARCH = X86_64()

"""KHO's part in kexec_file_load: where an image may lie, and what of the handover it carries (kexec_handover.c).

With KHO active (Linux 6.16, `kho=on`) all memory but the scratch areas may hold what is handed over, so an image is
placed in those alone, and a crash image where it always is. The scratch areas themselves are told to the next kernel
by a segment; the root of the handover, an FDT of one page, stays where the running kernel has it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from warmboot.kernel.kexec_buf import KexecBuf, kexec_add_buffer
from warmboot.kernel.kimage import Kimage, KimageType
from warmboot.memmap import Facts, Range
from warmboot.numbers import number
from warmboot.records import dataclass
from warmboot.uapi import Readable, Segment

if TYPE_CHECKING:
    from warmboot.kernel.state import KernelState

__all__ = ["FDT_SIZE", "Kho", "kho_fill_kimage", "kho_of", "pack_scratch"]

FDT_SIZE = 4096  # bytes: kho_out.fdt is one page
_SCRATCH = struct.Struct("<QQ")  # struct kho_scratch: addr, size
_MOST_AREAS = 1 << 11  # more than machines have NUMA nodes
_MOST_ADDRESS = 1 << 52
_SCRATCH_ALIGN = 64 << 10  # of the segment, for the next kernel's early mappings


@dataclass(frozen=True, slots=True)
class Kho:
    """KHO in a kernel that has it on: its `scratch` areas in their order (low, global, of each node), and the physical
    address of the `fdt` that the next kernel will find, 0 where it is not known."""

    scratch: tuple[Range, ...]
    fdt: int = 0


def kho_of(facts: Facts) -> Kho | None:
    """KHO as a machine's facts tell it: the areas that debugfs shows. None where it is off, or they do not tell.

    Where the root of the handover lies no file says. Numbers are a stranger's: what is no area of RAM is none.
    """
    told = facts.handover or {}
    starts, sizes = (_numbers(told.get(name, "")) for name in ("scratch_phys", "scratch_len"))
    areas = [Range(start, start + size) for start, size in zip(starts, sizes, strict=False) if size]
    ram = facts.system_ram
    scratch = tuple(each for each in areas[:_MOST_AREAS] if any(one.contains(each) for one in ram))
    return Kho(scratch) if scratch else None


def _numbers(text: str) -> list[int]:
    found = (number(word, 0, most=_MOST_ADDRESS) for word in text.split())
    return [each for each in found if each is not None]


def pack_scratch(scratch: tuple[Range, ...]) -> bytes:
    """The areas as the kernel's array has them."""
    return b"".join(_SCRATCH.pack(each.start, each.size) for each in scratch)


def kho_fill_kimage(kernel: KernelState, image: Kimage) -> Segment | None:
    """The segment with the scratch areas, where KHO is on. Raises KexecError where there is no room."""
    if kernel.kho is None or image.type is KimageType.CRASH:
        return None
    data = pack_scratch(kernel.kho.scratch)
    kbuf = KexecBuf("scratch areas", Readable.of(data), len(data), len(data), _SCRATCH_ALIGN, top_down=True)
    return kexec_add_buffer(kernel, image, kbuf)

"""Where the running kernel has mapped all memory, and itself (Documentation/arch/x86/x86_64/mm.rst)."""

from __future__ import annotations

from warmboot.memmap.ranges import Range

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["kernel_mapping"]

_PAGE = 4096
_PUD_SIZE = 1 << 30  # bytes: the direct map begins at a multiple of it (CONFIG_RANDOMIZE_MEMORY)
_TEXT_ALIGN = 1 << 20
_START_KERNEL_MAP, _KERNEL_IMAGE_SIZE = 0xFFFF_FFFF_8000_0000, 1 << 30  # the most it is, with CONFIG_RANDOMIZE_BASE


def kernel_mapping(loads: Sequence[Range], stext: int) -> tuple[int, Range] | None:
    """The start of the direct map, and the kernel's image, virtual; see live.arch.interface."""
    image = Range(_START_KERNEL_MAP, _START_KERNEL_MAP + _KERNEL_IMAGE_SIZE)
    with_stext = (each for each in loads if each.start <= stext < each.end)
    kernel = next(with_stext, None) or next((each for each in loads if image.contains(each)), None)
    if kernel is None:
        return None
    start = kernel.start // _TEXT_ALIGN * _TEXT_ALIGN
    size = -(-(kernel.end - start) // _PAGE) * _PAGE
    return min(each.start for each in loads) // _PUD_SIZE * _PUD_SIZE, Range(start, start + size)

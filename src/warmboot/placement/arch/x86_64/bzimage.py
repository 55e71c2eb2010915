"""Where a bzImage and what belongs to it go on an x86_64 machine, by the 64-bit or the 32-bit boot protocol.

Purgatory and parameters lie at the top of low memory, the kernel at the address it prefers, the initrd below the
highest address that the kernel allows.
"""

from __future__ import annotations

from warmboot.errors import RefusedError
from warmboot.images.bzimage import BzImage, XLoadFlags
from warmboot.memmap.ranges import Range
from warmboot.placement.arch.x86_64.linux import checked_command_line, command_line_for, finish_linux
from warmboot.placement.layout import FOUR_GIB, LOW, MORE_MEMORY, Layout, Placement
from warmboot.purgatory.parameters import Entry
from warmboot.uapi import PAGE_SIZE, Readable, page_align

__all__ = ["place_bzimage", "place_kernel"]

_64_BIT_PROTOCOL = 0x020C
_ENTRY_64 = 0x200  # from the start of the protected-mode part, where the 32-bit entry is


def place_bzimage(layout: Layout, image: BzImage) -> Placement:
    """Place a bzImage. Of kind bzImage, or without the 64-bit entry, it is entered by the 32-bit one.

    Raises InputError for a command line that the kernel would cut, RefusedError for a kernel that does not fit.
    """
    bits = 64 if _is_entered_in_64_bits(image) and not layout.options.entry_32bit else 32
    above_4g = image.above_4g and bits == 64
    efi = layout.options.firmware.efi if XLoadFlags.EFI_KEXEC in image.xloadflags else None
    line = checked_command_line(command_line_for(layout, efi=efi is not None), image.name, image.cmdline_size)
    where = place_kernel(image, layout, layout.space.end if above_4g else FOUR_GIB)
    kernel = layout.add("kernel", Readable(image.kernel), where)
    entry = Entry(
        where.start + (_ENTRY_64 if bits == 64 else 0),
        bits,
        leave_5_level=bits == 64 and layout.host.la57 and XLoadFlags.FIVE_LEVEL not in image.xloadflags,
    )
    return finish_linux(
        layout,
        kernel,
        entry,
        line,
        header=image.setup,
        initrd_addr_max=image.initrd_addr_max,
        above_4g=above_4g,
        efi=efi,
    )


def _is_entered_in_64_bits(image: BzImage) -> bool:
    has_it = image.protocol >= _64_BIT_PROTOCOL and XLoadFlags.KERNEL_64 in image.xloadflags
    return has_it and image.kind == "bzImage64"


def place_kernel(image: BzImage, layout: Layout, limit: int) -> Range:
    """Take the room of a kernel that is not placed at random: where it prefers to be, or the lowest above.

    It ends at `limit` or below. Raises RefusedError.
    """
    size, space = page_align(image.init_size), layout.space
    preferred = Range(image.pref_address, image.pref_address + size)
    is_usable = preferred.start >= LOW and preferred.end <= limit and preferred.start % PAGE_SIZE == 0
    if is_usable and space.has(preferred):
        return space.take(preferred)
    if not image.relocatable:
        raise RefusedError(
            f"{image.name}: not relocatable, and {preferred} is not free RAM",
            hint="use a kernel with CONFIG_RELOCATABLE, as all distributions build",
        )
    align = max(image.kernel_alignment, PAGE_SIZE)
    # Not below the preferred address: a kernel that finds itself there moves up to it, over whatever lies in between.
    least = max(image.pref_address, LOW)
    found = space.lowest(size, align=align, least=least, below=limit)
    if found is None:
        raise space.no_room("kernel", size, MORE_MEMORY, least=least, below=limit)
    return space.take(found)

"""Where the vmlinux inside a bzImage goes that does not unpack itself, and what its decompressor would have done.

That is arch/x86/boot/compressed/{misc,kaslr,pgtable_64}.c: the kernel's segments laid out by their physical addresses,
a random place for it (KASLR), its relocations, KASLR_FLAG in the boot parameters, by which the kernel chooses random
places for its own mappings and modules, and the number of levels of page tables, which the purgatory sets. Not done
here: what the decompressor does in guests with encrypted memory, where nothing is unpacked (live.encrypted).
"""

from __future__ import annotations

import mmap

from warmboot.command_line import parse
from warmboot.errors import RefusedError
from warmboot.images.bzimage import LoadFlags, XLoadFlags
from warmboot.images.vmlinux import UnpackedLinux
from warmboot.memmap.ranges import Range, subtract
from warmboot.placement.arch.x86_64.bzimage import place_kernel
from warmboot.placement.arch.x86_64.linux import checked_command_line, command_line_for, finish_linux, initrd_room
from warmboot.placement.layout import FOUR_GIB, LOW, Kaslr, Layout, Placement
from warmboot.placement.segments import extent
from warmboot.purgatory.parameters import Entry
from warmboot.uapi import PAGE_SIZE, Joined, Readable, page_align

__all__ = ["place_unpacked"]

_KERNEL_IMAGE_SIZE = 1 << 30  # with CONFIG_RANDOMIZE_BASE, which a kernel with relocations has
_LOADFLAGS = 0x211
_MIB = 1 << 20
_NO_5_LEVEL = "no5lvl"  # which the decompressor alone obeys: the kernel takes what it finds
_LIMITS_RAM = ("mem", "memmap", "hugepages")  # parameters by which the decompressor chooses among less memory


def place_unpacked(layout: Layout, image: UnpackedLinux) -> Placement:
    """Place it, at random where its decompressor would: not with nokaslr, nor where it has no relocations.

    Raises InputError for a command line that the kernel would cut, or a kernel whose relocations make no sense,
    RefusedError for one that does not fit.
    """
    packed, own = image.packed, extent(image.inner.segments)
    above_4g = packed.above_4g
    efi = layout.options.firmware.efi if XLoadFlags.EFI_KEXEC in packed.xloadflags else None
    line = checked_command_line(command_line_for(layout, efi=efi is not None), image.name, packed.cmdline_size)
    limit = layout.space.end if above_4g else FOUR_GIB
    size = page_align(max(own.size, packed.init_size))
    align = max(packed.kernel_alignment, PAGE_SIZE)
    given = parse(line.decode("utf-8", "surrogateescape"))
    relocations = image.relocations if given.get("nokaslr") is None else None
    places = virtual_places = 1
    distance = 0
    if relocations is not None:
        virtual_places = max(1, 1 + (_KERNEL_IMAGE_SIZE - own.start - size) // align)
        distance = layout.options.slot(virtual_places) * align
    if relocations is None or any(given.get(each) is not None for each in _LIMITS_RAM):
        where = place_kernel(packed, layout, limit)
    else:
        where, places = _at_random(layout, image, size, align, limit)
    moved = where.start - own.start
    if moved % align:
        raise RefusedError(
            f"{image.name}: {where} is no multiple of {align:#x} away from where the kernel inside is linked",
            hint="leave out --unpack kernel",
        )
    data = _laid_out(image, own)
    header = bytearray(packed.setup)
    if relocations is not None:
        relocations.apply(data, own.start, distance, image.name)
        header[_LOADFLAGS] |= LoadFlags.KASLR
    kernel = layout.add("kernel", Readable(data), where)
    five = XLoadFlags.FIVE_LEVEL_ENABLED in packed.xloadflags and given.get(_NO_5_LEVEL) is None
    entry = Entry(
        image.inner.entry + moved,
        leave_5_level=layout.host.la57 and not five,
        enter_5_level=not layout.host.la57 and five and _may_enter_5_level(layout),
    )
    layout.kaslr = Kaslr(places, virtual_places) if relocations is not None else Kaslr(1, 1)
    return finish_linux(
        layout,
        kernel,
        entry,
        line,
        header=bytes(header),
        initrd_addr_max=packed.initrd_addr_max,
        above_4g=above_4g,
        efi=efi,
    )


def _may_enter_5_level(layout: Layout) -> bool:
    """Whether the purgatory may change to 5 levels: it needs its place below 4 GiB for that.

    Not for a crash kernel: what it is to read of was a kernel with 4, and it may lie above.
    """
    room = layout.space.highest(_MIB, align=PAGE_SIZE, least=LOW, below=FOUR_GIB)
    return layout.options.crash is None and room is not None


def _at_random(layout: Layout, image: UnpackedLinux, size: int, align: int, limit: int) -> tuple[Range, int]:
    """A random one of all places for `size` bytes, and how many there are: each multiple of `align` from where the
    kernel is linked up, outside of where its initrd would go. Raises RefusedError where there is none.
    """
    packed = image.packed
    initrd = initrd_room(layout, Joined(layout.options.initrds).readable, packed.initrd_addr_max, packed.above_4g)
    free = subtract(layout.space.free, [initrd] if initrd is not None else [])
    runs: list[tuple[int, int]] = []  # the first place, and how many there are
    for each in free:
        first = -(-max(each.start, packed.pref_address) // align) * align
        count = (min(each.end, limit) - size - first) // align + 1
        if count > 0:
            runs.append((first, count))
    places = sum(count for _, count in runs)
    if not places:
        return place_kernel(packed, layout, limit), 1
    chosen = layout.options.slot(places)
    while chosen >= runs[0][1]:
        chosen -= runs.pop(0)[1]
    start = runs[0][0] + chosen * align
    where = Range(start, start + size)
    return layout.space.chosen(where, align=align, least=packed.pref_address, below=limit), places


def _laid_out(image: UnpackedLinux, own: Range) -> memoryview:
    """A copy of what is loaded, each segment at its physical address from `own.start` on."""
    size = max(each.paddr + each.data.nbytes for each in image.inner.segments) - own.start
    data = memoryview(mmap.mmap(-1, size))
    for each in image.inner.segments:
        at = each.paddr - own.start
        data[at : at + each.data.nbytes] = each.data
    return data

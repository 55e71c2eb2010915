"""Where a multiboot image, its modules and its boot information go: below 4 GiB, the image first, the others above."""

from __future__ import annotations

from collections.abc import Sequence

from warmboot.errors import RefusedError
from warmboot.images.multiboot import MultibootImage
from warmboot.memmap.ranges import Range
from warmboot.placement.arch.x86_64.linux import checked_command_line, command_line_for
from warmboot.placement.arch.x86_64.multiboot1 import information as information1
from warmboot.placement.arch.x86_64.multiboot2 import information as information2
from warmboot.placement.arch.x86_64.multiboot_info import BootInformation, LoadedModule
from warmboot.placement.layout import FOUR_GIB, LOW, MORE_MEMORY, Layout, Placement
from warmboot.placement.segments import add_image, distance, extent
from warmboot.purgatory.parameters import Entry
from warmboot.uapi import KEXEC_SEGMENT_MAX, PAGE_SIZE, Joined, Readable, page_align

__all__ = ["place_multiboot"]

_MAGIC = {1: 0x2BADB002, 2: 0x36D76289}  # in eax, which tells the image which protocol started it
_PREFER_HIGHEST = 2
_CMDLINE_SIZE = 1 << 16  # bytes: no specification has a limit
_SPARE_SEGMENTS = 2  # the information and the purgatory
_VGA_TEXT = 0xB8000


def place_multiboot(layout: Layout, image: MultibootImage) -> Placement:
    """Place a multiboot image. Its command line begins with its file's name, as is the custom.

    Raises InputError for a command line with a zero byte, RefusedError for what does not fit.
    """
    options = layout.options
    if options.initrds:
        raise RefusedError(
            f"{image.name}: a multiboot image has modules, no initrd", hint="give the initrd by --module, after those"
        )
    line = checked_command_line(command_line_for(layout, efi=False), image.name, _CMDLINE_SIZE)
    name = image.name.encode("utf-8", "surrogateescape")
    line = name + b" " + line if line else name
    moved = _distance(layout, image)
    kernel = add_image(layout, image.segments, image.name, moved)
    own = extent(image.segments)
    modules = _place_modules(layout, own.end + moved)
    information = BootInformation(
        command_line=line,
        e820=layout.e820,
        modules=modules,
        frame_buffer=options.firmware.frame_buffer if image.video_mode else None,
        text_at=_VGA_TEXT if image.video_mode and (options.console.vga or options.console.reset_vga) else 0,
        rsdp=options.firmware.rsdp,
        efi_systab=options.firmware.efi.systab if options.firmware.efi else 0,
        load_base=own.start + moved if image.relocation else None,
    )
    pack = information1 if image.protocol == 1 else information2
    where = _low(layout, "boot information", len(pack(information, 0)), own.end + moved)
    layout.add("boot information", Readable.of(pack(information, where.start)), where)
    entry = Entry(image.entry + moved, 32, rax=_MAGIC[image.protocol], rbx=where.start)
    return layout.finish(kernel, entry, line.decode("utf-8", "surrogateescape"))


def _distance(layout: Layout, image: MultibootImage) -> int:
    """How far the image is moved from its own addresses."""
    wish = image.relocation
    if wish is None:
        if not image.dynamic:
            return 0
        return distance(layout, image.segments, align=PAGE_SIZE, least=LOW, below=FOUR_GIB)
    return distance(
        layout,
        image.segments,
        align=max(wish.align, PAGE_SIZE),
        least=wish.min_addr,
        below=min(wish.max_addr + 1, FOUR_GIB),
        from_top=wish.preference == _PREFER_HIGHEST,
    )


def _place_modules(layout: Layout, least: int) -> list[LoadedModule]:
    """Each at the start of a page; one segment each, or one for all where there would be too many."""
    modules = layout.options.modules
    if layout.count + len(modules) <= KEXEC_SEGMENT_MAX - _SPARE_SEGMENTS:
        places = []
        for each in modules:
            where = _low(layout, "module", max(each.data.nbytes, 1), least)
            layout.add("module", Readable(each.data), where)
            places.append(where.start)
    else:
        data = [each.data for each in modules]
        size = sum(page_align(each.nbytes) for each in data)
        where = _low(layout, "modules", size, least)
        layout.add("modules", Joined(data, align=PAGE_SIZE), where)
        places = _starts(data, where.start)
    return [
        LoadedModule(start, start + each.data.nbytes, each.command_line.encode("utf-8", "surrogateescape"))
        for start, each in zip(places, modules, strict=True)
    ]


def _starts(data: Sequence[memoryview], start: int) -> list[int]:
    starts = []
    for each in data:
        starts.append(start)
        start += page_align(each.nbytes)
    return starts


def _low(layout: Layout, what: str, size: int, least: int) -> Range:
    """The lowest room after the image, as boot loaders choose it: small kernels map little at first."""
    taken = page_align(size)
    found = layout.space.lowest(taken, align=PAGE_SIZE, least=least, below=FOUR_GIB)
    if found is None:
        found = layout.space.lowest(taken, align=PAGE_SIZE, least=LOW, below=FOUR_GIB)
    if found is None:
        raise layout.space.no_room(what, taken, MORE_MEMORY)
    return layout.space.take(found)

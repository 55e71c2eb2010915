"""Where an ELF executable goes: at its own physical addresses, with the arguments that its kind expects."""

from __future__ import annotations

from warmboot.errors import InputError, RefusedError
from warmboot.images.elf import ElfImage
from warmboot.placement.arch.x86_64.boot_params import synthetic_header
from warmboot.placement.arch.x86_64.linux import COMMAND_LINE_SIZE, checked_command_line, command_line_for, finish_linux
from warmboot.placement.elf_notes import boot_notes
from warmboot.placement.layout import FOUR_GIB, LOW, Layout, Placement
from warmboot.placement.options import ELF_STYLES
from warmboot.placement.segments import add_image, distance, extent
from warmboot.purgatory.parameters import Entry
from warmboot.uapi import PAGE_SIZE, Readable, Segment

__all__ = ["place_elf"]

_LOWMEM_END = 0x37FF_FFFF  # the highest address of an initrd that every 32-bit kernel maps


def place_elf(layout: Layout, image: ElfImage) -> Placement:
    """Place an ELF executable, its arguments as `options.elf_style` says.

    linux: boot parameters, as a vmlinux expects them. elf: ELF boot notes, a pointer to them as the first argument.
    none: it is simply jumped to, in 64-bit mode without a purgatory. Page tables have 4 levels at most. Raises
    InputError, RefusedError.
    """
    style = layout.options.elf_style
    if style not in ELF_STYLES:
        raise ValueError(f"elf_style {style!r}, there are {', '.join(ELF_STYLES)}")
    if style != "linux" and layout.options.initrds:
        raise InputError(
            f"{image.name}: Ramdisks not supported with generic elf arguments",
            hint="leave out the initrd, or load a vmlinux with --args-linux",
        )
    # A vmlinux does not tell whether it can be entered with 5 levels; every one can be with 4.
    leave_5_level = image.bits == 64 and layout.host.la57
    line = checked_command_line(command_line_for(layout, efi=False), image.name, COMMAND_LINE_SIZE - 1)
    kernel, moved = _place_image(layout, image)
    entry = Entry(image.entry + moved, image.bits, leave_5_level=leave_5_level)
    if style == "linux":
        initrd_addr_max = FOUR_GIB - 1 if image.bits == 64 else _LOWMEM_END
        return finish_linux(
            layout,
            kernel,
            entry,
            line,
            header=synthetic_header(COMMAND_LINE_SIZE - 1, min(initrd_addr_max, 0x7FFF_FFFF)),
            initrd_addr_max=initrd_addr_max,
            above_4g=image.bits == 64,
            efi=None,
        )
    if style == "elf":
        return _with_notes(layout, kernel, entry, line)
    return layout.enter_directly(kernel, entry) if image.bits == 64 else layout.finish(kernel, entry, "")


def _with_notes(layout: Layout, kernel: Segment, entry: Entry, command_line: bytes) -> Placement:
    notes = boot_notes(command_line)
    where = layout.small("boot notes", len(notes), low=entry.bits == 32)
    layout.add("boot notes", Readable.of(notes), where)
    if entry.bits == 64:
        entry = Entry(entry.address, rdi=where.start, leave_5_level=entry.leave_5_level)
    else:
        entry = Entry(entry.address, 32, argument=where.start)
    return layout.finish(kernel, entry, command_line.decode("utf-8", "surrogateescape"))


def _place_image(layout: Layout, image: ElfImage) -> tuple[Segment, int]:
    """The image's first segment, and how far it is moved: not at all, unless it can be and must."""
    below = FOUR_GIB if image.bits == 32 else 1 << 64
    moved = 0
    if image.dynamic:
        align = max(PAGE_SIZE, *(each.align for each in image.segments))
        moved = distance(layout, image.segments, align=align, least=LOW, below=below, congruent=True)
    elif extent(image.segments).end > below:
        raise RefusedError(f"{image.name}: a 32-bit program beyond 4 GiB", hint="link it below 4 GiB")
    return add_image(layout, image.segments, image.name, moved), moved

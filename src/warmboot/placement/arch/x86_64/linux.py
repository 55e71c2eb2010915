"""What every Linux is loaded with, whatever its file: command line, initrd, boot parameters."""

from __future__ import annotations

from warmboot.errors import InputError
from warmboot.memmap.firmware import Efi
from warmboot.memmap.ranges import Range, intersect
from warmboot.placement.arch.x86_64.boot_params import BootParams
from warmboot.placement.layout import FOUR_GIB, LOW, MORE_MEMORY, Layout, Placement
from warmboot.purgatory.parameters import Entry
from warmboot.records import replace
from warmboot.uapi import PAGE_SIZE, Joined, Readable, Segment, Source, page_align

__all__ = ["COMMAND_LINE_SIZE", "checked_command_line", "command_line_for", "finish_linux", "initrd_room"]

COMMAND_LINE_SIZE = 2048  # of x86, bytes with the final zero


def command_line_for(layout: Layout, *, efi: bool) -> str:
    """The requested command line, with a crash kernel's parameters added; the layout takes the dump's parts.

    `efi` says whether the kernel will hear of ACPI's root pointer from EFI. Raises RefusedError.
    """
    line, dump = layout.options.command_line, layout.options.crash
    if dump is None:
        return line
    from warmboot.command_line import parse  # noqa: PLC0415 - only a crash kernel pays for it
    from warmboot.placement.arch.x86_64.crash import plan_crash  # noqa: PLC0415

    plan = plan_crash(dump, layout.space, acpi_rsdp=0 if efi else layout.host.rsdp)
    layout.follow(plan)
    return str(parse(line).with_parameters(plan.command_line))


def checked_command_line(command_line: str, name: str, cmdline_size: int) -> bytes:
    """The bytes of a command line. Raises InputError for one that the kernel `name` would cut."""
    line = command_line.encode("utf-8", "surrogateescape")
    if b"\0" in line:
        raise InputError("the command line has a zero byte in it", hint="take it out")
    if len(line) > cmdline_size:
        raise InputError(
            f"the command line has {len(line)} bytes, {name} takes {cmdline_size}",
            hint="make it shorter: the kernel would cut it silently",
        )
    return line


def finish_linux(
    layout: Layout,
    kernel: Segment,
    entry: Entry,
    command_line: bytes,
    *,
    header: bytes | memoryview,
    initrd_addr_max: int,
    above_4g: bool,
    efi: Efi | None,
) -> Placement:
    """Place initrd and boot parameters once the kernel has its place, and make the request.

    The entry's rsi becomes the parameters' address. The initrd ends at `initrd_addr_max` or below, or anywhere for a
    kernel that may have it `above_4g`. Raises RefusedError.
    """
    options = layout.options
    initrd: Source = Joined(options.initrds) if len(options.initrds) != 1 else Readable.of(options.initrds[0])
    initrd_at = _place_initrd(layout, initrd.readable, initrd_addr_max, above_4g=above_4g)
    spare = layout.jump_back_text_size
    parameters = BootParams(
        header=header,
        command_line=command_line,
        e820=layout.e820,
        initrd=initrd_at.start,
        initrd_size=initrd.readable,
        rsdp=layout.host.rsdp,
        rng_seed=options.rng_seed,
        dtb=b"" if options.dtb is None else options.dtb,
        firmware=options.firmware,
        efi=efi,
        spare=spare,
        stamps=b"" if options.stamps is None else options.stamps.pack(),
    )
    where = layout.small("boot parameters", parameters.size, low=not above_4g)
    layout.add("boot parameters", Readable.of(parameters.pack(where.start)), where)
    if initrd.readable:
        layout.add("initrd", initrd, initrd_at)
    return layout.finish(
        kernel,
        replace(entry, rsi=where.start),
        command_line.decode("utf-8", "surrogateescape"),
        boot_params=where.start,
        stamps=parameters.stamps_at(where.start),
        jump_back_text=where.start + PAGE_SIZE + len(command_line) if spare else 0,
    )


def initrd_room(layout: Layout, size: int, initrd_addr_max: int, above_4g: bool) -> Range | None:
    """Where an initrd of `size` bytes would go now; None where it fits nowhere."""
    taken = page_align(size)
    below = min(initrd_addr_max + 1, FOUR_GIB)
    found = layout.space.highest(taken, align=PAGE_SIZE, least=LOW, below=below)
    # A kernel that may lie above 4 GiB reads the whole address; initrd_addr_max is for all others.
    if above_4g:
        below = 1 << 64
        found = found or layout.space.highest(taken, align=PAGE_SIZE, least=LOW, below=below)
    if found is None or layout.options.free_pages is None or layout.options.crash is not None:
        return found
    return _in_use(layout, found, below)


def _in_use(layout: Layout, found: Range, below: int) -> Range:
    """`found`, or a place whose pages are in use where many of its own are free."""
    from warmboot.placement.in_use import LEAST, fullest, is_full  # noqa: PLC0415 - for a large initrd alone

    free_pages = layout.options.free_pages
    if free_pages is None or found.size < LEAST or is_full(found, free_pages):
        return found
    allowed = intersect(layout.space.free, [Range(LOW, below)])
    better = fullest(allowed, found.size, free_pages)
    return found if better is None else layout.space.fullest(better, least=LOW, below=below)


def _place_initrd(layout: Layout, size: int, initrd_addr_max: int, *, above_4g: bool) -> Range:
    if not size:
        return Range(0, 0)
    found = initrd_room(layout, size, initrd_addr_max, above_4g)
    if found is None:
        below = 1 << 64 if above_4g else min(initrd_addr_max + 1, FOUR_GIB)
        raise layout.space.no_room("initrd", page_align(size), MORE_MEMORY, below=below)
    return layout.space.take(found)

"""A kernel file as text: what it is and what it needs."""

from __future__ import annotations

from collections.abc import Sequence

from warmboot.images.figures import (
    BzImageFigures,
    ElfFigures,
    ImageFigures,
    ImageSegment,
    LinuxFigures,
    MultibootFigures,
    OtherFigures,
    UkiFigures,
)
from warmboot.report.text.words import size_text, table

__all__ = ["image_lines"]


def image_lines(figures: ImageFigures) -> list[str]:
    """Lines about the figures that `images.figures` gives."""
    packed = f", packed by {' in '.join(reversed(figures.packed))}" if figures.packed else ""
    signed = [f"signed by {', '.join(figures.signers)}: 'warmboot signature' verifies it"] if figures.signers else []
    return [f"{figures.file}{packed}", *_lines(figures), *signed]


def _lines(figures: ImageFigures) -> list[str]:
    match figures:
        case BzImageFigures():
            return _bzimage(figures)
        case UkiFigures():
            return _uki(figures)
        case ElfFigures():
            return _elf(figures)
        case MultibootFigures():
            return _multiboot(figures)
        case OtherFigures():
            return [f"{figures.format}, version {figures.version}", f"{size_text(figures.bytes)} in the file"]


def _bzimage(figures: LinuxFigures) -> list[str]:
    where = "anywhere, also above 4 GiB" if figures.above_4g else "below 4 GiB"
    if not figures.relocatable:
        where = "only there"
    aligned = f"aligned to {size_text(figures.kernel_alignment)}, " if figures.relocatable else ""
    return [
        f"bzImage {figures.version.split(' ')[0]}, boot protocol {figures.protocol}, {figures.compression} inside",
        f"{size_text(figures.bytes)} to load, needs {size_text(figures.init_size)},"
        f" prefers {figures.pref_address:#x}, can run {where}",
        f"{aligned}command line up to {figures.cmdline_size} bytes",
    ]


def _uki(figures: UkiFigures) -> list[str]:
    initrds = " and ".join(size_text(each) for each in figures.initrds)
    line = figures.command_line
    system = f" of {figures.os}" if figures.os else ""
    return [
        f"unified kernel image{system}",
        *(
            f"profile @{number}: {title}{', the one that counts' if number == figures.profile else ''}"
            for number, title in enumerate(figures.profiles)
        ),
        *(f"add-on {each}, whose signature is not checked" for each in figures.addons),
        *(f"add-on left out: {each}" for each in figures.addons_left_out),
        *_bzimage(figures.linux),
        f"initrd inside: {initrds or 'none'}",
        f"command line inside: {'none' if line is None else line or '(empty)'}",
    ]


def _segments(segments: Sequence[ImageSegment]) -> list[str]:
    rows = [("physical address", "virtual", "memory", "of it loaded")]
    for each in segments:
        end = each.paddr + each.memsz - 1
        rows.append(
            (
                f"{each.paddr:#011x}-{end:#011x}",
                f"{each.vaddr:#x}",
                size_text(each.memsz),
                size_text(each.filesz),
            )
        )
    return table(rows, right=(2, 3))


def _elf(figures: ElfFigures) -> list[str]:
    notes = figures.boot_notes
    named = f", {' '.join(notes)}" if notes else ""
    version = "" if figures.version == "unknown" else f", Linux {figures.version.split(' ')[0]}"
    moved = ", can be moved as a whole" if figures.dynamic else ""
    return [
        f"ELF, {figures.bits} bits{version}{named}, entered at {figures.entry:#x}{moved}",
        *_segments(figures.segments),
    ]


def _multiboot(figures: MultibootFigures) -> list[str]:
    mode, moved = figures.video_mode, figures.relocation
    wants = [
        *(["information about memory"] if figures.wants_memory_info else []),
        *(["modules at pages"] if figures.wants_aligned_modules else []),
        *(
            [f"a screen of {mode.width or 'any'} x {mode.height or 'any'}{' characters' if mode.text else ''}"]
            if mode
            else []
        ),
        *([f"information of types {', '.join(map(str, figures.requests))}"] if figures.requests else []),
    ]
    where = (
        f"; may be moved to {moved.min_addr:#x}-{moved.max_addr:#x} by {size_text(moved.align)},"
        f" preference {moved.preference}"
        if moved
        else ""
    )
    return [
        f"{figures.format}, entered at {figures.entry:#x} in 32-bit mode{where}",
        f"wants {', '.join(wants) or 'nothing'}",
        *_segments(figures.segments),
    ]

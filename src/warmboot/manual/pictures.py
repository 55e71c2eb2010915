"""Pictures of memory for the documentation, of images that are really placed and loaded, as files of SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from warmboot.images import parse_bzimage
from warmboot.machines.machine import Machine
from warmboot.manual.roll_picture import roll_picture
from warmboot.memmap import Facts, Range
from warmboot.placement import PlaceOptions, place
from warmboot.rehearsal.arch import of
from warmboot.report.html.memory import MemoryPicture, memory_picture
from warmboot.uapi import PAGE_SHIFT

__all__ = ["pictures"]

_MEMORY = 512 << 20
_INITRD = 96 << 20
_HANDED = {  # of a real kernel, 7.2 with KHO and LUO, on a machine of 1 GiB, as `handover show` told it
    "scratch": [(0x24000000, 0x31800000), (0x3A000000, 0x3E800000)],
    "memfd of 256 MiB": [(0x1E9E000, 0x1239D000)],
    "reserve_mem": [(0x3EB00000, 0x3EC00000)],
    "KHO, LUO and small memfds": [(0x11E4000, 0x1D9E000)],
}
_COLOURS = ("#0550ae", "#c05000", "#11803a", "#6639ba", "#a40e26", "#57606a")
_STRIP, _ROW = 44, 26  # units of height


def pictures() -> dict[str, str]:
    """The names of the files and their texts; the same on every computer."""
    facts = Facts.of_pc(_MEMORY)
    kernel = parse_bzimage(memoryview(of(facts.machine).demo_kernel()), "the demo kernel")
    with Machine(facts) as machine:
        placement = place(kernel, facts, PlaceOptions(initrds=[memoryview(bytes(_INITRD))], rng_seed=bytes(64)))
        machine.kernel.kexec_load(placement.request)
        image = machine.kernel.kexec_image
        assert image is not None
        destinations = {each.name: [Range(each.mem, each.end)] for each in placement.request.segments}
        sources = list(_runs([*(frame for each in image.sources for frame in each), *image.indirection_pages]))
        control = list(_runs(frame for run in image.control_pages for frame in run))
    ram = facts.system_ram
    loaded = {
        "destinations": [each for ranges in destinations.values() for each in ranges],
        "sources and page list": sources,
        "control pages": control,
    }
    return {
        "destinations.svg": _svg("Where the parts of an image go: its destinations", memory_picture(ram, destinations)),
        "loaded.svg": _svg("The same image loaded, before the jump", memory_picture(ram, loaded)),
        "roll.svg": roll_picture(),
        "handover.svg": _svg("Memory of a kernel that hands over", _handed()),
        "reserved.svg": _svg("A machine with a crash kernel's reservation", _reserved()),
    }


def _reserved() -> MemoryPicture:
    facts = Facts.of_pc(_MEMORY, crashkernel=_INITRD)
    return memory_picture(facts.system_ram, {"crash kernel (reserved)": list(facts.crash_kernel)})


def _handed() -> MemoryPicture:
    parts = {name: [Range(*each) for each in ranges] for name, ranges in _HANDED.items()}
    return memory_picture([Range(0, 1 << 30)], parts)


def _runs(frames: Iterator[int] | Sequence[int]) -> Iterator[Range]:
    """Ranges of bytes, of frames in any order; pages of the list lie between the sources."""
    start = stop = -1
    for frame in sorted(frames):
        if frame != stop:
            if start >= 0:
                yield Range(start << PAGE_SHIFT, stop << PAGE_SHIFT)
            start = frame
        stop = frame + 1
    if start >= 0:
        yield Range(start << PAGE_SHIFT, stop << PAGE_SHIFT)


def _svg(title: str, picture: MemoryPicture) -> str:
    return "".join(_elements(title, picture))


def _elements(title: str, picture: MemoryPicture) -> Iterator[str]:
    """Each part has its number in the strip's order beside its colour, which alone carries no meaning."""
    strips = [each for each in picture.strips if each.blocks]
    sizes = _sizes(picture)
    height = 16 + len(strips) * (_STRIP + 2 * _ROW) + len(sizes) * _ROW
    words = f"{title}: " + "; ".join(f"{name} {text}" for _, name, text in sizes)
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 0 1016 {height}" role="img">\n'
    yield f"<title>{escape(words)}</title>\n"
    yield "<style>text { font: 18px sans-serif; fill: #57606a } @media (prefers-color-scheme: dark)"
    yield " { text { fill: #b0b8c0 } }</style>\n"
    y = 24
    for strip in strips:
        yield f'<text x="0" y="{y}">{escape(strip.title)}</text>\n'
        yield f'<rect x="0" y="{y + 8}" width="{strip.width}" height="{_STRIP}" fill="#8884" stroke="#888"/>\n'
        for block in strip.blocks:
            yield f'<rect x="{block.x}" y="{y + 8}" width="{block.width}" height="{_STRIP}"'
            yield f' fill="{_COLOURS[block.pattern]}"><title>{escape(block.title)}</title></rect>\n'
        for label in strip.labels:
            yield f'<text x="{label.x}" y="{y + _STRIP + 28}">{label.text}</text>\n'
        y += _STRIP + 2 * _ROW
    for pattern, name, text in sizes:
        yield f'<rect x="0" y="{y - 14}" width="18" height="18" fill="{_COLOURS[pattern]}"/>'
        yield f'<text x="28" y="{y}">{escape(name)}: {escape(text)}</text>\n'
        y += _ROW
    yield "</svg>\n"


def _sizes(picture: MemoryPicture) -> list[tuple[int, str, str]]:
    """A row for each name: its colour, its numbers in the strip, and where its first piece is."""
    found: dict[tuple[int, str], list[str]] = {}
    for number, part in enumerate(picture.parts, 1):
        found.setdefault((part.pattern, part.name), []).append(f"{number} at {part.where} ({part.size})")
    return [(pattern, name, _short(places)) for (pattern, name), places in found.items()]


def _short(places: Sequence[str]) -> str:
    return ", ".join(places[:2]) + (f" and {len(places) - 2} more" if len(places) > 2 else "")

"""Multiboot 1 (Multiboot Specification 0.6.96), and what images of both versions have in common."""

from __future__ import annotations

from dataclasses import dataclass

from warmboot.errors import InputError, RefusedError
from warmboot.formats.ident import is_elf
from warmboot.formats.reading import u32
from warmboot.images.elf import ElfSegment, loaded_figures, parse_elf
from warmboot.images.probe import find_multiboot1
from warmboot.images.video_mode import VideoMode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.images.figures import MultibootFigures, RelocationFigures

__all__ = ["MultibootImage", "Relocation", "address_segment", "parse_multiboot1"]

_PAGE_ALIGN, _MEMORY_INFO, _VIDEO_MODE, _AOUT_KLUDGE = 1, 2, 4, 1 << 16
_MUST_KNOW = 0xFFFF  # a loader that does not know one of these flags must not load the image
_PREFERENCES = {1: "lowest", 2: "highest"}
_HINT_CUT = "copy or download the file again"


@dataclass(frozen=True, slots=True)
class Relocation:
    """Where a multiboot 2 image may be moved to, as a whole. Physical addresses."""

    min_addr: int
    max_addr: int  # the highest address that its last byte may have
    align: int
    preference: int  # 0 none, 1 lowest, 2 highest

    def figures(self) -> RelocationFigures:
        """For a person or a script."""
        from warmboot.images.figures import RelocationFigures  # noqa: PLC0415

        preference = _PREFERENCES.get(self.preference, "none")
        return RelocationFigures(self.min_addr, self.max_addr, self.align, preference)


@dataclass(frozen=True, slots=True)
class MultibootImage:
    """A multiboot image as its file describes it. It is entered in 32-bit protected mode; addresses are physical."""

    name: str
    file: memoryview  # the whole file, unpacked
    protocol: int  # 1 or 2
    entry: int
    segments: tuple[ElfSegment, ...]
    bits: int  # of its ELF file, 32 where it is none
    dynamic: bool = False  # ET_DYN: may be moved as a whole
    wants_memory_info: bool = False
    wants_aligned_modules: bool = False  # modules begin at pages
    video_mode: VideoMode | None = None
    relocation: Relocation | None = None
    requests: tuple[int, ...] = ()  # multiboot 2: types of information tags without which it will not run
    optional_requests: tuple[int, ...] = ()
    console_flags: int | None = None
    wants_boot_services: bool = False  # would like EFI's boot services, which a running kernel has ended
    wrapping: tuple[str, ...] = ()  # what it was unpacked from, the outermost first

    @property
    def kind(self) -> str:
        """kexec-tools' name of the format."""
        return "multiboot2-x86" if self.protocol == 2 else "multiboot-x86"

    @property
    def version(self) -> str:
        """Not in the format: "unknown"."""
        return "unknown"

    def figures(self) -> MultibootFigures:
        """For a person or a script."""
        from warmboot.images.figures import MultibootFigures  # noqa: PLC0415

        return MultibootFigures(
            self.name,
            self.kind,
            self.wrapping,
            f"multiboot {self.protocol}",
            *loaded_figures(self),
            wants_memory_info=self.wants_memory_info,
            wants_aligned_modules=self.wants_aligned_modules,
            video_mode=self.video_mode,
            requests=self.requests,
            optional_requests=self.optional_requests,
            relocation=None if self.relocation is None else self.relocation.figures(),
        )

    @property
    def start(self) -> int:
        """The lowest physical address that it takes."""
        return min(each.paddr for each in self.segments)

    @property
    def end(self) -> int:
        """The physical address after its last segment."""
        return max(each.end for each in self.segments)


def parse_multiboot1(data: memoryview, name: str, wrapping: tuple[str, ...] = ()) -> MultibootImage:
    """Read a multiboot 1 header, and where the image goes: by the header's own addresses, else as ELF.

    Raises InputError for a header that contradicts itself or its file, RefusedError for one that asks for more than
    the specification has.
    """
    header = find_multiboot1(data)
    assert header is not None
    flags = u32(data, header + 4)
    if unknown := flags & _MUST_KNOW & ~(_PAGE_ALIGN | _MEMORY_INFO | _VIDEO_MODE):
        raise RefusedError(
            f"{name}: its multiboot header needs features {unknown:#x}, which no specification describes",
            hint="load it as plain ELF by its type elf-x86, if it can do without" if is_elf(data) else _HINT_CUT,
        )
    if header + (48 if flags & _VIDEO_MODE else 32 if flags & _AOUT_KLUDGE else 12) > data.nbytes:
        raise InputError(f"{name}: cut short within the multiboot header at byte {header:#x}", hint=_HINT_CUT)
    segments: tuple[ElfSegment, ...]
    if flags & _AOUT_KLUDGE:
        where = [u32(data, header + each) for each in range(12, 28, 4)]
        segments, entry = (address_segment(data, name, header, *where),), u32(data, header + 28)
        bits, dynamic = 32, False
    else:
        elf = parse_elf(data, name)
        segments, entry, bits, dynamic = elf.segments, elf.entry, elf.bits, elf.dynamic
    check_entry(entry, segments, name)
    mode_type, width, height, depth = (u32(data, header + each) for each in range(32, 48, 4))
    return MultibootImage(
        name=name,
        file=data,
        protocol=1,
        entry=entry,
        segments=segments,
        bits=bits,
        dynamic=dynamic,
        wants_memory_info=bool(flags & _MEMORY_INFO),
        wants_aligned_modules=bool(flags & _PAGE_ALIGN),
        video_mode=VideoMode(width, height, depth, mode_type == 1) if flags & _VIDEO_MODE else None,
        wrapping=wrapping,
    )


def address_segment(
    data: memoryview, name: str, header: int, header_addr: int, load_addr: int, load_end: int, bss_end: int
) -> ElfSegment:
    """What a header with addresses of its own loads. `header` is its offset in the file.

    load_end 0 means to the end of the file, bss_end 0 that nothing is to be zeroed. Raises InputError.
    """
    first = header - (header_addr - load_addr)
    if not 0 <= load_addr <= header_addr or first < 0:
        raise InputError(
            f"{name}: its multiboot header says it lies at {header_addr:#x} and the image at {load_addr:#x}, which"
            f" byte {header:#x} cannot be",
            hint=_HINT_CUT,
        )
    size = load_end - load_addr if load_end else data.nbytes - first
    if size <= 0 or (bss_end and bss_end < load_addr + size):
        raise InputError(f"{name}: its multiboot header ends the image before it begins", hint=_HINT_CUT)
    if first + size > data.nbytes:
        raise InputError(
            f"{name}: cut short: its multiboot header wants {first + size} bytes, the file has {data.nbytes}",
            hint=_HINT_CUT,
        )
    memsz = bss_end - load_addr if bss_end else size
    return ElfSegment(data[first : first + size], load_addr, load_addr, memsz)


def check_entry(entry: int, segments: tuple[ElfSegment, ...], name: str) -> None:
    """Raises InputError for an entry outside the image, or where 32-bit code cannot reach it."""
    if not any(each.paddr <= entry < each.end for each in segments):
        raise InputError(f"{name}: the entry {entry:#x} lies in none of its segments", hint=_HINT_CUT)
    if max(each.end for each in segments) > 1 << 32:
        raise InputError(f"{name}: a multiboot image beyond 4 GiB, which 32-bit code cannot reach", hint=_HINT_CUT)

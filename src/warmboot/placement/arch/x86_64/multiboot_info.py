"""What both versions of the multiboot information tell: see multiboot1 and multiboot2 for how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from warmboot.memmap.entries import E820Entry, E820Type
from warmboot.memmap.firmware import FrameBuffer

__all__ = ["LOADER_NAME", "TEXT_COLUMNS", "TEXT_ROWS", "BootInformation", "LoadedModule", "memory_type"]

LOADER_NAME = b"warmboot"
TEXT_COLUMNS, TEXT_ROWS = 80, 25
_MIB = 1 << 20
_TYPES = {E820Type.RAM: 1, E820Type.ACPI: 3, E820Type.NVS: 4, E820Type.UNUSABLE: 5}
_RESERVED = 2


@dataclass(frozen=True, slots=True)
class LoadedModule:
    """A module where it lies: physical bytes from `start` up to, not including, `end`."""

    start: int
    end: int
    command_line: bytes


@dataclass(frozen=True, slots=True)
class BootInformation:
    """The facts; addresses are physical. A `load_base` of None says that the image cannot be moved."""

    command_line: bytes
    e820: Sequence[E820Entry]
    modules: Sequence[LoadedModule] = ()
    frame_buffer: FrameBuffer | None = None
    text_at: int = 0  # VGA's text memory, where that is what there is
    rsdp: bytes = b""
    efi_systab: int = 0
    load_base: int | None = None

    @property
    def mem_lower(self) -> int:
        """KiB of RAM from 0 on, at most 640. The first page may be missing: Linux hides it."""
        ends = [each.range.end for each in self.e820 if each.type is E820Type.RAM and each.range.start <= 0x10000]
        return min(max(ends, default=0) >> 10, 640)

    @property
    def mem_upper(self) -> int:
        """KiB of RAM from 1 MiB to the first hole."""
        for each in self.e820:
            if each.type is E820Type.RAM and each.range.start <= _MIB < each.range.end:
                return min((each.range.end - _MIB) >> 10, 0xFFFF_FFFF)
        return 0


def memory_type(entry: E820Entry) -> int:
    """The type that multiboot's memory maps have for it."""
    return _TYPES.get(entry.type, _RESERVED)

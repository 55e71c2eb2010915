"""What is to be loaded besides the kernel, and how it is to be started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from warmboot.memmap.firmware import Firmware
from warmboot.purgatory import Console

__all__ = ["ELF_STYLES", "Module", "Wanted"]

ELF_STYLES = ("linux", "elf", "none")


@dataclass(frozen=True, slots=True)
class Module:
    """A multiboot module: its bytes, unpacked, and its own command line, whose first word is by custom its file."""

    data: memoryview
    command_line: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """The arguments of `place` that are the same whatever the format; see there."""

    initrds: Sequence[memoryview] = ()
    command_line: str = ""
    rng_seed: bytes = b""
    modules: Sequence[Module] = ()
    firmware: Firmware = field(default_factory=Firmware)
    entry_32bit: bool = False
    elf_style: str = "linux"
    dtb: memoryview | None = None
    console: Console = field(default_factory=Console)
    preserve_context: bool = False

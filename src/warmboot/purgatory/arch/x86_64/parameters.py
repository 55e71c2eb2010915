"""The purgatory's parameters: what it checks, how it enters the new kernel, and where it may say something."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from warmboot.stubs.stub import stub

__all__ = [
    "JUMP_BACK_TEXT_SIZE",
    "PURGATORY_REGION_COUNT",
    "Backup",
    "Console",
    "Entry",
    "Region",
    "purgatory",
    "purgatory_size",
]

PURGATORY_REGION_COUNT = 16  # offset in the purgatory, see PARAMETERS in purgatory.S
JUMP_BACK_TEXT_SIZE = 64  # bytes, more than what tell_way_back of purgatory.S writes
_PARAMETERS = struct.Struct("<QIIIxxxx10Q")
_REGION = struct.Struct("<QQ8I")
_WORDS = struct.Struct(">8I")
_UART_CLOCK = 115200  # baud at divisor 1

_ENTRY_32BIT, _LEAVE_5_LEVEL, _CONSOLE_SERIAL, _CONSOLE_VGA, _RESET_VGA = 1, 2, 4, 8, 16


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes at a physical address, a multiple of 64 of them, and their SHA-256."""

    start: int
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Console:
    """Where the purgatory says what it does; that an image is damaged comes over the serial port in any case.

    `serial_port` is the first I/O port of a 16550. A `serial_baud` of 0 leaves the rate as it is.
    """

    serial: bool = False
    vga: bool = False
    reset_vga: bool = False
    serial_port: int = 0x3F8
    serial_baud: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """How an image is entered: at physical `address`, in 64-bit mode or in 32-bit protected mode without paging.

    General registers that are not named are 0. `argument` is what a 32-bit function finds behind its return
    address. `leave_5_level` switches to 4-level page tables first, where there are 5.
    """

    address: int
    bits: int = 64
    rax: int = 0
    rbx: int = 0
    rsi: int = 0
    rdi: int = 0
    argument: int = 0
    leave_5_level: bool = False

    @property
    def needs_low_purgatory(self) -> bool:
        """Whether the purgatory must lie below 4 GiB: it runs in 32-bit mode for a while."""
        return self.bits == 32 or self.leave_5_level


@dataclass(frozen=True, slots=True)
class Backup:
    """Physical bytes that a crash kernel is going to use, and where their contents are kept."""

    start: int
    size: int
    copy: int


def purgatory_size(regions: int) -> int:
    """Bytes of a purgatory that checks so many regions."""
    return len(stub(__file__, "purgatory")) + _REGION.size * regions


def purgatory(
    entry: Entry,
    regions: Sequence[Region] = (),
    *,
    console: Console | None = None,
    jump_back_text: int = 0,
    backup: Backup | None = None,
) -> bytes:
    """A purgatory that checks `regions` and enters the image as `entry` says; without regions nothing is checked.

    `jump_back_text`, if not 0, is the physical address behind a command line where JUMP_BACK_TEXT_SIZE bytes are free.
    """
    console = console or Console()
    backup = backup or Backup(0, 0, 0)
    flags = (
        _ENTRY_32BIT * (entry.bits == 32)
        | _LEAVE_5_LEVEL * entry.leave_5_level
        | _CONSOLE_SERIAL * console.serial
        | _CONSOLE_VGA * console.vga
        | _RESET_VGA * console.reset_vga
    )
    parameters = _PARAMETERS.pack(
        len(regions),
        flags,
        console.serial_port,
        _UART_CLOCK // console.serial_baud if console.serial_baud else 0,
        *(entry.address, entry.argument, entry.rax, entry.rbx, entry.rsi, entry.rdi),
        *(jump_back_text, backup.start, backup.size, backup.copy),
    )
    table = b"".join(_REGION.pack(each.start, each.size, *_WORDS.unpack(each.sha256)) for each in regions)
    code, end = stub(__file__, "purgatory"), PURGATORY_REGION_COUNT + len(parameters)
    return code[:PURGATORY_REGION_COUNT] + parameters + code[end:] + table

"""The purgatory of x86_64: its machine code, and its parameters as that reads them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from warmboot.purgatory.parameters import TEMPLATE_SIZE, Backup, Console, Entry, Marks, Region
from warmboot.stubs.stub import stub
from warmboot.uapi.kexec import PAGE_SIZE

__all__ = ["JUMP_BACK_TEXT_SIZE", "PURGATORY_REGION_COUNT", "purgatory", "purgatory_size"]

PURGATORY_REGION_COUNT = 16  # offset in the purgatory, see PARAMETERS in purgatory.S
JUMP_BACK_TEXT_SIZE = 64  # bytes, more than what tell_way_back of purgatory.S writes
_PARAMETERS = struct.Struct("<QIIIxxxx12Q")
_REGION = struct.Struct("<QQ32s")
_FOUR_GIB = 1 << 32
_UART_CLOCK = 115200  # baud at divisor 1

_ENTRY_32BIT, _LEAVE_5_LEVEL, _CONSOLE_SERIAL, _CONSOLE_VGA, _RESET_VGA = 1, 2, 4, 8, 16
_DIGEST_XXH64, _RESET_ON_FAULT, _MARK_CMOS, _ENTER_5_LEVEL = 32, 64, 128, 256


def purgatory_size(regions: int, *, box: bool = False) -> int:
    """Bytes of a purgatory that checks so many regions, and has the template of a black box or none."""
    return len(stub(__file__, "purgatory")) + _REGION.size * regions + TEMPLATE_SIZE * box


def purgatory(
    entry: Entry,
    regions: Sequence[Region] = (),
    *,
    console: Console | None = None,
    jump_back_text: int = 0,
    backup: Backup | None = None,
    marks: Marks | None = None,
) -> bytes:
    """A purgatory that checks `regions` and enters the image as `entry` says; without regions nothing is checked.

    The digests of `regions` are all of one kind.
    `jump_back_text`, if not 0, is the physical address after a command line where JUMP_BACK_TEXT_SIZE bytes are free.
    Raises ValueError for a black box whose page is not one, or lies above 4 GiB, or without its template.
    """
    console = console or Console()
    marks = _checked(marks or Marks())
    backup = backup or Backup(0, 0, 0)
    flags = (
        _ENTRY_32BIT * (entry.bits == 32)
        | _LEAVE_5_LEVEL * entry.leave_5_level
        | _ENTER_5_LEVEL * entry.enter_5_level
        | _CONSOLE_SERIAL * console.serial
        | _CONSOLE_VGA * console.vga
        | _RESET_VGA * console.reset_vga
        | _DIGEST_XXH64 * any(each.algorithm == "xxh64" for each in regions)
        | _RESET_ON_FAULT * marks.reset
        | _MARK_CMOS * (marks.cmos and bool(marks.box))
    )
    parameters = _PARAMETERS.pack(
        len(regions),
        flags,
        console.serial_port,
        _UART_CLOCK // console.serial_baud if console.serial_baud else 0,
        *(entry.address, entry.argument, entry.rax, entry.rbx, entry.rsi, entry.rdi),
        *(jump_back_text, backup.start, backup.size, backup.copy, marks.box, marks.stamps),
    )
    table = b"".join(_REGION.pack(each.start, each.size, _as_compared(each)) for each in regions)
    code, end = stub(__file__, "purgatory"), PURGATORY_REGION_COUNT + len(parameters)
    return code[:PURGATORY_REGION_COUNT] + parameters + code[end:] + table + marks.template


def _checked(marks: Marks) -> Marks:
    if marks.box % PAGE_SIZE or marks.box >= _FOUR_GIB:
        raise ValueError(f"a black box at {marks.box:#x}: it is a page below 4 GiB")
    if len(marks.template) != (TEMPLATE_SIZE if marks.box else 0):
        raise ValueError(f"a template of {len(marks.template)} bytes for a black box at {marks.box:#x}")
    return marks


def _as_compared(region: Region) -> bytes:
    """The digest as the processor's registers hold it: a quad, or words; each with its least significant byte first."""
    digest = region.digest
    if region.algorithm == "xxh64":
        return digest[::-1]
    return b"".join(digest[at : at + 4][::-1] for at in range(0, len(digest), 4))

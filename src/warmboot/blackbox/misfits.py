"""What does not fit together of a load, seen afterwards: its command line with its segments, its initrd with itself.

All of it could be known before the jump, and is asked only where the kernel was entered and did not arrive.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from warmboot.blackbox.record import Box
from warmboot.blackbox.state import Loaded
from warmboot.command_line import parse
from warmboot.errors import InputError, WarmbootError
from warmboot.explain.foreseen import Foreseen
from warmboot.images.initrds import unpacked_initrd
from warmboot.numbers import number
from warmboot.visible import visible

__all__ = ["misfits", "without_our_console"]

_OURS = re.compile(r"earlycon=uart8250,mmio,(0x[0-9a-f]+)\s*")  # as blackbox.place adds it
_IN_PAGE = 0x800  # where the early console of a box is, see record.py
_UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}
_MOST_UNPACKED = 4 << 30  # bytes of an initrd that are looked at


def misfits(box: Box | None, loaded: Loaded | None) -> Iterator[Foreseen]:
    """Rules that the load itself speaks for; none where nothing of it is known."""
    if loaded is None:
        return
    if box is not None:
        yield from _memory(box, loaded.command_line)
    for path, size in zip(loaded.initrds, loaded.sizes[1:], strict=False):
        yield from _initrd(path, size)


def without_our_console(command_line: str) -> str:
    """The command line without the early console in the box, which nobody sees."""
    found = _OURS.search(command_line)
    ours = found is not None and int(found[1], 16) % 4096 == _IN_PAGE
    return _OURS.sub("", command_line) if ours else command_line


def _memory(box: Box, command_line: str) -> Iterator[Foreseen]:
    """`mem=` cuts the memory map at an address (parse_memopt in arch/x86/kernel/e820.c)."""
    for text in parse(command_line).all("mem"):
        limit = _bytes(text)
        beyond = [each for each in box.template.segments if limit and each.start + each.size > limit]
        if beyond:
            parts = ", ".join(f"{each.kind} up to {each.start + each.size:#x}" for each in beyond)
            told = f"mem={visible(text, most=40)} on its command line leaves out what was loaded: {parts}"
            yield Foreseen("memory_map", "likely", told, 1)


def _initrd(path: str, size: int) -> Iterator[Foreseen]:
    """The file as it is now, if it is as large as when it was loaded."""
    try:
        if os.stat(path).st_size != size:  # noqa: PTH116 - as live/files.py
            return
        unpacked_initrd(memoryview(Path(path).read_bytes()), path, _MOST_UNPACKED)
    except InputError as error:
        yield Foreseen("initrd_broken", "likely", visible(str(error), most=200), 1)
    except (OSError, WarmbootError):
        return


def _bytes(text: str) -> int | None:
    """A size as memparse() of lib/cmdline.c reads it, None where it is none."""
    shift = _UNITS.get(text[-1:].upper(), 0)
    value = number(text[:-1] if shift else text, 0, most=(1 << 63) - 1)
    return None if value is None else value << shift

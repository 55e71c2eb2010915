"""Where a black box is read: the pages of this computer's memory that may be one, or a copy of it in a file.

Nothing is written. /dev/mem shows pages outside of the kernel's own RAM, as a box is, to root; lockdown forbids it.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from warmboot.blackbox.page import DEV_MEM, read_page
from warmboot.blackbox.place import PARAMETER, why_not_reserved
from warmboot.blackbox.ramoops import ramoops_page
from warmboot.blackbox.record import BOX_SIZE, MAGIC, Box, parse
from warmboot.blackbox.state import notes_hidden, read_loads
from warmboot.command_line import parse as parse_command_line
from warmboot.errors import InputError
from warmboot.live.files import read, under
from warmboot.live.iomem import resources
from warmboot.numbers import number

__all__ = ["Found", "Looked", "address_in", "in_file", "look", "pages"]

_ROOT = "run it as root"
_NOT_SHOWN = f"{_ROOT}; no RAM of the kernel is shown, and nothing under lockdown"
_MEMORY, _KEPT, _RAMOOPS = "memory", "the page that is kept free", "ramoops' region"


@dataclass(frozen=True, slots=True)
class Found:
    """A box, and where: in words, and the physical address where it is one."""

    box: Box
    where: str
    address: int | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found where; `problems` are the places that could not be looked at, and why."""

    found: tuple[Found, ...]
    problems: tuple[str, ...]


def look(root: str = "/", address: int | None = None) -> Looked:
    """The boxes of this computer, the newest first: at `address` (physical), or in the pages of `pages`. Raises
    InputError where an address was asked for that cannot be read."""
    found: list[Found] = []
    hidden = notes_hidden(root)
    problems = [f"{hidden}: permission denied: {_ROOT}"] if hidden else []
    try:
        places = {address: _MEMORY} if address is not None else _places(root)
    except OSError as error:
        return Looked((), (*problems, f"{under(root, 'proc/iomem')}: {error.strerror}: {_ROOT}"))
    for at, place in places.items():
        try:
            box = parse(read_page(at, root))
        except OSError as error:
            told = f"{under(root, DEV_MEM)} at {at:#x}: {error.strerror}"
            if address is not None:
                raise InputError(told, hint=_NOT_SHOWN) from None
            problems.append(f"{told}: {_ROOT}, where lockdown allows it")
        else:
            if box is not None:
                found.append(Found(box, f"{place} at {at:#x}, by {under(root, DEV_MEM)}", at))
    found.sort(key=lambda each: -each.box.template.loaded_at)
    return Looked(tuple(found), tuple(problems))


def pages(root: str = "/") -> list[int]:
    """The physical addresses at which this computer may have a box: the page that the running kernel's command line
    names, the one that ramoops has to spare, and those that the notes of the last loads name.

    Each must be Reserved, and no RAM, in /proc/iomem: notes may be those of another machine, which had RAM where this
    one has devices, and reading a device's registers may change it. Raises OSError where that file does not tell.
    """
    return list(_places(root))


def _places(root: str) -> dict[int, str]:
    """The addresses, and what is there. Raises OSError."""
    spare = ramoops_page(root)
    named = [(address_in(_command_line(root)), _KEPT), *((each.box, _MEMORY) for each in read_loads(root))]
    # First: a kernel that was started by kexec has ramoops' page on its command line, too.
    places = {at: what for at, what in reversed([(spare, _RAMOOPS), *named]) if at is not None}
    if not places:
        return {}
    known = resources(root)
    if not any(end > 1 for _, end, _ in known):
        raise PermissionError(errno.EPERM, "it shows no addresses", under(root, "proc/iomem"))
    return {at: what for at, what in places.items() if not why_not_reserved(at, known)}


def address_in(command_line: str) -> int | None:
    """The physical address that `warmboot.blackbox=` names on a command line, None where it names none."""
    return number(parse_command_line(command_line).get(PARAMETER) or "", 0, most=(1 << 52) - 1)


def in_file(path: Path, address: int | None = None) -> Found:
    """The box in a file: a page, or a copy of memory with one in it, at the offset `address` or
    wherever its signature is. Raises InputError where there is none."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
            for at in (address,) if address is not None else _signatures(data):
                box = parse(data[at : at + BOX_SIZE])
                if box is not None:
                    return Found(box, f"{path} at {at:#x}", None)
    except (OSError, ValueError) as error:  # ValueError: an empty file
        told = error.strerror if isinstance(error, OSError) else "it is empty"
        raise InputError(f"{path}: cannot be read: {told}", hint="check the path") from None
    where = f" at offset {address:#x}" if address is not None else ""
    raise InputError(f"{path}: no black box{where}", hint="give a copy of the page, or of memory that holds it")


def _signatures(data: mmap.mmap) -> Iterator[int]:
    at = data.find(MAGIC)
    while at >= 0:
        yield at
        at = data.find(MAGIC, at + 1)


def _command_line(root: str) -> str:
    with contextlib.suppress(OSError):
        return os.fsdecode(read(under(root, "proc/cmdline")))
    return ""

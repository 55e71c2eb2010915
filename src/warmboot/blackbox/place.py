"""Where this computer has a page for a black box, whether it is safe to write, and the words that hand it on.

The page must be nobody's: the running kernel was booted with `memmap=SIZE$START`, which keeps it out of RAM, and with
`warmboot.blackbox=ADDRESS`, which says what it is for (the kernel takes a parameter with a dot for some module's, and
init does not get it); or ramoops has one to spare. The next kernel gets the same words, so that it keeps the page too.
Addresses are physical, sizes in bytes.
"""

from __future__ import annotations

import os

from warmboot.blackbox.ramoops import ramoops_page, ramoops_region
from warmboot.command_line import CommandLine, parse
from warmboot.errors import InputError
from warmboot.live.cmdline import running
from warmboot.live.iomem import resources
from warmboot.numbers import number
from warmboot.purgatory.record import BOX_SIZE, WITNESS

__all__ = [
    "AUTO",
    "CMOS",
    "PAGE",
    "PARAMETER",
    "chosen_place",
    "find_place",
    "page_words",
    "why_not",
    "why_not_reserved",
]

AUTO, PAGE, CMOS = "auto", "page", "cmos"
PARAMETER = "warmboot.blackbox"
_RESERVED = ("Reserved", "reserved")  # its name in /proc/iomem, now and in older kernels
_FOUR_GIB = 1 << 32  # a purgatory that enters 32-bit code must reach it
_LEAST = 1 << 20  # firmware writes to what is below on every boot
_UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}
_HINT = "'warmboot blackbox install' prints the words for the running kernel's command line"


def find_place(root: str = "/") -> int | None:
    """The page that the running kernel's command line names, else ramoops' spare one; None where it is not safe."""
    try:
        address = _named_page(running(root))
        if address is None:
            address = ramoops_page(root)
        return None if address is None or why_not(address, root) else address
    except OSError:
        return None


def chosen_place(asked: str, root: str = "/") -> int | None:
    """The page that was asked for: by its address; `page` is the one that is found, and `auto` too, or none.

    Raises InputError where there is none, or it is not safe to write, with the reason.
    """
    if asked in (PAGE, AUTO):
        found = find_place(root)
        if found is None and asked == PAGE:
            raise InputError("this computer has no page for a black box", hint=_HINT)
        return found
    address = number(asked, 0)
    if address is None:
        raise InputError(
            f"a black box at {asked[:40]!r}: no address", hint="give one, such as 0x30000000, or page, or cmos"
        )
    try:
        problem = why_not(address, root)
    except OSError as error:
        problem = f"/proc/iomem cannot be read: {error.strerror}"
    if problem:
        raise InputError(f"a black box at {address:#x}: {problem}", hint=_HINT)
    return address


def why_not(address: int, root: str = "/") -> str:
    """What speaks against a box at this address on the running kernel; nothing where it is safe. Raises OSError."""
    if address % BOX_SIZE or not _LEAST <= address <= _FOUR_GIB - BOX_SIZE:
        return "it is a page from 1 MiB up to 4 GiB"
    known = resources(root)
    if not any(end > 1 for _, end, _ in known):
        return "/proc/iomem shows no addresses: run it as root"
    return why_not_reserved(address, known)


def why_not_reserved(address: int, known: list[tuple[int, int, str]]) -> str:
    """What speaks against the page being nobody's, by the entries of /proc/iomem: it must be Reserved, and no RAM that
    is reserved in its turn; nothing where it is."""
    end = address + BOX_SIZE
    if any(start < end and address < stop for start, stop, name in known if name == "System RAM"):
        return "it is RAM of the running kernel: boot that with memmap= for the page first"
    if not any(start <= address and end <= stop for start, stop, name in known if name in _RESERVED):
        return "it is no memory that /proc/iomem has as Reserved"
    return ""


def page_words(address: int, line: str, most: int | None = None, root: str = "/") -> str:
    """What the next kernel's command line `line` lacks, so that it keeps the page, and prints its first words into it.

    Of ramoops' region all is kept: the next kernel may have ramoops, too, and would write over its own memory there.
    Nothing is added that would make the line longer than `most` bytes.
    """
    parsed, words = parse(line), []
    start, size = _kept(address, root)
    if not _is_kept_free(parsed, start, size):
        words.append(f"memmap={size // 1024}K${start:#x}")
    if number(parsed.get(PARAMETER) or "", 0) != address:
        words.append(f"{PARAMETER}={address:#x}")
    if parsed.get("earlycon") is None:
        words.append(f"earlycon=uart8250,mmio,{address + WITNESS:#x}")
    while words and most is not None and len(os.fsencode(str(parsed.with_parameters(" ".join(words))))) > most:
        words.pop()
    return " ".join(words)


def _named_page(line: str) -> int | None:
    """The page that a command line names and keeps free."""
    if PARAMETER not in line:  # the most frequent case, at no cost
        return None
    parsed = parse(line)
    address = number(parsed.get(PARAMETER) or "", 0)
    return address if address is not None and _is_kept_free(parsed, address, BOX_SIZE) else None


def _kept(address: int, root: str) -> tuple[int, int]:
    """Where that begins which is kept with the page, and its size."""
    region = ramoops_region(root)
    if region is not None and region[0] <= address < sum(region) and not any(each % BOX_SIZE for each in region):
        return region
    return address, BOX_SIZE


def _is_kept_free(line: CommandLine, address: int, wanted: int) -> bool:
    """Whether a memmap=SIZE$START of the line has these bytes (parse_memmap_one in arch/x86/kernel/e820.c)."""
    for each in ",".join(line.all("memmap")).split(","):
        size_text, reserved, start_text = each.partition("$")
        size, start = _memparse(size_text), _memparse(start_text)
        if reserved and size and start is not None and start <= address and address + wanted <= start + size:
            return True
    return False


def _memparse(text: str) -> int | None:
    """A size as memparse() of lib/cmdline.c reads it, None where it is none."""
    shift = _UNITS.get(text[-1:].upper(), 0)
    value = number(text[:-1] if shift else text, 0, most=(1 << 63) - 1)
    return None if value is None else value << shift

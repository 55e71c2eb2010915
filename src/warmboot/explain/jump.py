"""What facts foresee of a boot that went silent: who still holds a device or memory, and what the new kernel lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from warmboot.errors import WarmbootError
from warmboot.explain.evidence import Command, Evidence
from warmboot.explain.foreseen import Foreseen
from warmboot.memmap import Facts
from warmboot.memmap.iomem import Resource, parse_iomem
from warmboot.numbers import number
from warmboot.uapi import LoadRequest

__all__ = ["after_the_jump"]

_EFI_NEEDS_ROOT_POINTER = "acpi_rsdp="
_IOMMU = re.compile(r"\b(?:intel_iommu|amd_iommu)=(?:on|force)|\biommu=(?:on|force)\b|\bintel_iommu=\S*,on\b")
_CUT = re.compile(r"(?:^|\s)(?:(mem)=(?!nopentium)\S+|(memmap)=(?!\S*\$)\S+)")  # memmap=SIZE$START only keeps a page
_DRIVERS = re.compile(r"\b(i915|xe|amdgpu|radeon|nouveau|nvidia|ast|mgag200)\b")
_FIRMWARES_SCREEN = re.compile(r"\b(?:efifb|simplefb|vesafb|BOOTFB|simple-framebuffer)\b")
_NEEDS_AN_INITRD = re.compile(r"\broot=(?:UUID=|LABEL=|zfs[:=]|/dev/mapper/|/dev/disk/)")
_RELEASE = re.compile(r"(\d{1,2})\.(\d{1,3})(?!.*/)")
_KNOWS_FIVE_LEVELS = (4, 17)  # the first release that changes between four and five levels as it starts
_BYTES_A_SECOND = 200 << 20  # SHA-256 in plain C on a fast core with its caches on; 5 to 30 times fewer without
_LONG = 5  # seconds
_RAM = "System RAM"


def after_the_jump(evidence: Evidence, facts: Facts) -> Iterator[Foreseen]:
    """Rules that the facts, the command line and the request speak for, where nothing came after the jump."""
    command = evidence.command
    append = command.append if command is not None else ""
    shown = f"{facts.cmdline} {append}" if command is None or "--reuse-cmdline" in command.options else append
    yield from _devices(facts, shown)
    yield from _memory(evidence.request, facts, shown)
    if command is not None:
        yield from _files(command, append, facts)
    if "console=" not in shown and "earlyprintk" not in shown:
        yield Foreseen("no_console", "possible", "the command line that is known has no console=", 4)
    if facts.efi and _EFI_NEEDS_ROOT_POINTER not in shown:
        yield Foreseen("efi_rsdp", "possible", "facts: EFI started this machine", 5)
    if facts.la57 and (command is None or command.kernel is None or _release(command.kernel) is None):
        yield Foreseen("five_level", "possible", "facts: the processor pages with five levels", 6)
    unchecked = command is not None and bool(command.options & {"-i", "--no-checks"})
    if evidence.request is not None and not unchecked:
        yield from _digest(evidence.request)


def _devices(facts: Facts, shown: str) -> Iterator[Foreseen]:
    names = [each.name for each in _lines(facts.iomem)]
    on = _IOMMU.search(facts.cmdline)
    if on is not None and _IOMMU.search(shown) is None:
        told = f"facts: {on[0]} is on the running command line, and not on the new one that is known"
        yield Foreseen("iommu", "possible", told, 3)
    driver = next((each[0] for each in map(_DRIVERS.search, (*names, facts.cmdline)) if each is not None), None)
    if driver and "nomodeset" not in facts.cmdline and not any(map(_FIRMWARES_SCREEN.search, names)):
        told = f"facts: {driver} has the display, and the firmware's frame buffer is gone"
        yield Foreseen("graphics", "possible", told, 4)
    watchdog = next((each for each in names if re.search(r"wdt|watchdog", each, re.IGNORECASE)), None)
    if watchdog is not None:
        yield Foreseen("watchdog", "possible", f"facts: /proc/iomem has {watchdog}", 6)


def _memory(request: LoadRequest | None, facts: Facts, shown: str) -> Iterator[Foreseen]:
    cut = _CUT.search(shown)
    if cut is not None:
        told = f"the command line that is known has {cut[1] or cut[2]}=, which hides what firmware keeps"
        yield Foreseen("firmware_memory", "possible", told, 3)
    if request is None or facts.firmware_memmap is None:
        return
    kept = [each for each in _lines(facts.firmware_memmap) if each.name != _RAM]
    for index, segment in enumerate(request.segments):
        end = segment.mem + segment.memsz
        for each in kept:
            if segment.mem < each.range.end and each.range.start < end:
                told = f"facts: segment {index} goes to {each.range}, which firmware's map has as {each.name}"
                yield Foreseen("firmware_memory", "likely", told, 1)
                return


def _files(command: Command, append: str, facts: Facts) -> Iterator[Foreseen]:
    needs = _NEEDS_AN_INITRD.search(append)
    if needs is not None and not command.initrds:
        yield Foreseen("no_root", "possible", f"{needs[0]} needs an initrd, and the command has none", 2)
    release = _release(command.kernel) if command.kernel is not None else None
    if facts.la57 and release is not None and release < _KNOWS_FIVE_LEVELS:
        told = f"facts: the processor pages with five levels; Linux {release[0]}.{release[1]} cannot leave them"
        yield Foreseen("five_level", "possible", told, 2)


def _digest(request: LoadRequest) -> Iterator[Foreseen]:
    total = sum(each.bufsz for each in request.segments)
    seconds = total // _BYTES_A_SECOND
    if seconds >= _LONG:
        told = f"purgatory's digest over {total >> 20} MiB takes {seconds} s on a fast core, minutes on a slow or"
        yield Foreseen("slow_purgatory", "possible", f"{told} emulated one, or with caches off", 2)


def _release(name: str) -> tuple[int, int] | None:
    match = _RELEASE.search(name)
    first, second = (number(each) for each in match.groups()) if match is not None else (None, None)
    return (first, second) if first is not None and second is not None else None


def _lines(text: str) -> list[Resource]:
    try:
        return parse_iomem(text)
    except WarmbootError:
        return []

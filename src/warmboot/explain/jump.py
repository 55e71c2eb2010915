"""What facts foresee of a boot that went silent: who still holds a device or memory, and what the new kernel lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from warmboot.explain.evidence import Command, Evidence
from warmboot.explain.foreseen import Foreseen
from warmboot.memmap import Facts
from warmboot.numbers import number
from warmboot.risks.risks import risks_of
from warmboot.uapi import LoadRequest

__all__ = ["after_the_jump", "fitting"]

_EFI_NEEDS_ROOT_POINTER = "acpi_rsdp="
_NEEDS_AN_INITRD = re.compile(r"\broot=(?:UUID=|LABEL=|zfs[:=]|/dev/mapper/|/dev/disk/)")
_RELEASE = re.compile(r"(\d{1,2})\.(\d{1,3})(?!.*/)")
_KNOWS_FIVE_LEVELS = (4, 17)  # the first release that changes between four and five levels as it starts
_BYTES_A_SECOND = 200 << 20  # SHA-256 in plain C on a fast core with its caches on; 5 to 30 times fewer without
_LONG = 5  # seconds
# Of a machine's risks, those that fit a boot that went silent, and which of them comes first.
_WEIGHTS = {"firmware_memory": 3, "iommu": 3, "graphics": 4, "no_console": 4, "watchdog": 6, "device_left_on": 7}
_MOST_OF_A_RULE = 3  # devices that may be left on


def after_the_jump(evidence: Evidence, facts: Facts) -> Iterator[Foreseen]:
    """Rules that the facts, the command line and the request speak for, where nothing came after the jump."""
    command = evidence.command
    append = command.append if command is not None else ""
    shown = _known_line(evidence, facts)
    yield from _risks(evidence, facts, shown)
    if command is not None:
        yield from _files(command, append, facts)
    if facts.efi and _EFI_NEEDS_ROOT_POINTER not in shown:
        yield Foreseen("efi_rsdp", "possible", "facts: EFI started this machine", 5)
    if facts.la57 and (command is None or command.kernel is None or _release(command.kernel) is None):
        yield Foreseen("five_level", "possible", "facts: the processor pages with five levels", 6)
    unchecked = command is not None and bool(command.options & {"-i", "--no-checks"})
    if evidence.request is not None and not unchecked:
        yield from _digest(evidence.request)


def fitting(evidence: Evidence, facts: Facts) -> Iterator[Foreseen]:
    """Risks of the machine that a line is a sign of: the machine has what the line speaks of."""
    signs = {each.rule: each.line.text for each in evidence.signs}
    for each in risks_of(facts, _known_line(evidence, facts), request=evidence.request):
        text = signs.get(each.rule)
        if text is not None and each.rule in _WEIGHTS:
            # Of many devices that may be left on, the one that the line names.
            named = each.rule == "device_left_on" and each.driver is not None and each.driver in text
            sure = "likely" if named else each.confidence
            yield Foreseen(each.rule, sure, f"facts: {each.seen}", 2)


def _risks(evidence: Evidence, facts: Facts, shown: str) -> Iterator[Foreseen]:
    count = dict.fromkeys(_WEIGHTS, 0)
    for each in risks_of(facts, shown, request=evidence.request):
        count[each.rule] += 1
        if count[each.rule] <= _MOST_OF_A_RULE:
            sure = each.confidence if each.rule == "firmware_memory" else "possible"
            weight = _WEIGHTS[each.rule] - 2 * (each.confidence == "likely")
            yield Foreseen(each.rule, sure, f"facts: {each.seen}", weight)


def _known_line(evidence: Evidence, facts: Facts) -> str:
    """The new kernel's command line, as far as the paste and the facts tell it."""
    command = evidence.command
    append = command.append if command is not None else ""
    return f"{facts.cmdline} {append}" if command is None or "--reuse-cmdline" in command.options else append


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

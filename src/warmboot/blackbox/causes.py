"""What may have stopped a kexec: the marks of its black box say which rules of `warmboot explain` fit, and the notes of
its load, the machine's facts and the marks themselves what speaks for each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from warmboot.blackbox.files import of_files
from warmboot.blackbox.record import Box, BoxException, Stage
from warmboot.blackbox.state import Loaded
from warmboot.blackbox.this_boot import ThisBoot
from warmboot.errors import WarmbootError
from warmboot.explain.catalog import CATALOG
from warmboot.explain.clean import Line
from warmboot.explain.evidence import Command, Evidence
from warmboot.explain.findings import CONFIDENCES
from warmboot.explain.foreseen import Foreseen
from warmboot.explain.jump import after_the_jump
from warmboot.explain.pages import page
from warmboot.explain.seen import seen_in
from warmboot.memmap import Facts
from warmboot.numbers import size_text
from warmboot.purgatory.cmos import CmosMarks
from warmboot.visible import visible

__all__ = ["Cause", "causes"]

_MOST = 6
_INVALID_OPCODE, _PAGE_FAULT = 6, 14
_OUR_CONSOLE = re.compile(r"earlycon=uart8250,mmio,0x[0-9a-f]{2,}800\b")  # in the box itself, where nobody sees it
# What may stop a kernel before it has printed, and after.
_EARLY = frozenset(
    (
        *("newer_processor", "efi_rsdp", "five_level", "firmware_memory", "memory_map", "wrong_entry", "graphics"),
        *("no_console", "iommu", "device_left_on", "watchdog", "processors_stay", "digest"),
    )
)
_LATE = frozenset(
    (
        *("initrd_broken", "no_init", "no_root", "no_memory_after", "panic", "memory_map", "newer_processor"),
        *("efi_rsdp", "firmware_memory", "graphics", "no_console", "iommu", "device_left_on", "watchdog"),
    )
)
# An instruction that begins with one of these is of AVX, BMI or AVX-512 (VEX and EVEX prefixes).
_VECTOR_PREFIXES = (0xC4, 0xC5, 0x62)


@dataclass(frozen=True, slots=True)
class Cause:
    """A rule of `warmboot explain` that may be why; `told` is what speaks for it, `helps` what to try first."""

    rule: str
    confidence: str
    title: str
    told: str
    helps: str
    command: str


def causes(
    box: Box | None,
    loaded: Loaded | None,
    boot: ThisBoot,
    facts: Facts | None,
    words: Sequence[str] = (),
    marks: CmosMarks | None = None,
) -> tuple[Cause, ...]:
    """The likely ones first; none where nothing failed. `facts` are those of this computer, if they can be had; `words`
    the lines of the dead kernel's own log; `marks` those in CMOS memory, where there is no box."""
    stage = box.stage if box is not None else marks.stage if marks is not None else None
    if stage is None and (loaded is None or loaded.called is None):
        return ()
    if stage is Stage.ARRIVED:
        return ()
    printed = bool(words) or (box is not None and box.printed)
    fitting = _LATE if printed else _EARLY
    found = list(_of_marks(box, stage)) if box is not None else list(_of_cmos(marks)) if marks is not None else []
    found += _of_words(words)
    if stage is None or stage >= Stage.ENTERING:
        found += [each for each in _known(box, loaded, facts) if each.rule in fitting]
    if printed and not words:
        told = "the kernel came as far as its early console, and no further"
        found += [Foreseen("panic", "possible", told, 8), Foreseen("boot_console", "possible", told, 7)]
    found += _of_watchdog(box, loaded, boot)
    return _ranked(found)


def _of_marks(box: Box, stage: Stage | None) -> Iterator[Foreseen]:
    """What the marks alone say."""
    if box.exception is not None:
        yield from _of_exception(box, box.exception)
    match stage:
        case Stage.CALLING:
            copied = "the black box is the last page that is copied, and was not"
            told = copied if box.template.purgatory else "Linux's own purgatory leaves no marks"
            yield Foreseen("processors_stay", "possible", f"the last mark is that reboot was called: {told}", 4)
            yield Foreseen("page_list", "possible", told, 5)
        case Stage.RELOCATING:
            yield Foreseen("page_list", "likely", "the relocation code began, and did not end", 2)
        case Stage.RELOCATED:
            yield Foreseen("wrong_entry", "likely", "the relocation ended, and the purgatory did not begin", 2)
        case Stage.PURGATORY | Stage.CHECKED:
            yield Foreseen("digest", "possible", "the purgatory itself, which nothing checks, may be damaged", 4)
        case Stage.CHECKING if box.differs:
            yield Foreseen("digest", "certain", _differs(box), 0)
        case Stage.CHECKING:
            start, size = box.piece
            told = f"it was still checking: {box.pieces_checked} of {box.pieces} pieces were done, the next is "
            yield Foreseen("slow_purgatory", "possible", f"{told}{size_text(size)} at {start:#x}", 2)
        case Stage.ENTERING if not _is_in_kernel(box, box.template.entry):
            told = f"the entry, {box.template.entry:#x}, lies in no segment of the kernel"
            yield Foreseen("wrong_entry", "likely", told, 1)
        case _:
            pass


def _of_cmos(marks: CmosMarks) -> Iterator[Foreseen]:
    """The same of the few bytes in CMOS memory."""
    entered = marks.stage >= Stage.ENTERING
    if marks.vector is not None:
        told = f"exception {marks.vector}, {'as the kernel was entered' if entered else 'in the purgatory'}"
        newer = entered and marks.vector == _INVALID_OPCODE
        yield Foreseen("newer_processor" if newer else "wrong_entry" if entered else "digest", "likely", told, 1)
    elif marks.piece:
        yield Foreseen("digest", "certain", f"piece {marks.piece} differs", 0)
    elif marks.stage is Stage.CHECKING:
        yield Foreseen("slow_purgatory", "possible", "it was still checking", 2)
    elif not entered:
        yield Foreseen("digest", "possible", "the purgatory itself, which nothing checks, may be damaged", 4)


def _of_words(words: Sequence[str]) -> Iterator[Foreseen]:
    """What the dead kernel said, read as any log is."""
    for each in seen_in([Line(number, text) for number, text in enumerate(words, 1)]):
        if CATALOG[each.rule].group == "after the jump" and each.rule != "silent":
            yield Foreseen(each.rule, each.confidence, f"its log: {visible(each.line.text, most=160)}", each.weight)


def _of_exception(box: Box, exception: BoxException) -> Iterator[Foreseen]:
    """An exception before the kernel had an interrupt table of its own."""
    at = exception.registers["rip"]
    where = f"exception {exception.vector} at {at:#x}"
    if exception.stage < Stage.RELOCATED:
        yield Foreseen("page_list", "certain", f"{where}, address {exception.registers['cr2']:#x}", 0)
    elif exception.stage >= Stage.ENTERING:
        if not _is_in_kernel(box, at):
            yield Foreseen("wrong_entry", "likely", f"{where}, which is not in the kernel", 1)
        elif exception.vector == _INVALID_OPCODE:
            vector = exception.code[:1] and exception.code[0] in _VECTOR_PREFIXES
            told = f"{where}: an instruction {'of AVX, AVX-512 or BMI ' if vector else ''}that this processor has not"
            yield Foreseen("newer_processor", "likely", told, 1)
            yield Foreseen("wrong_entry", "possible", f"{where}: what was executed may be no code", 3)
        elif exception.vector == _PAGE_FAULT:
            told = f"{where}, which asked for {exception.registers['cr2']:#x}: the purgatory's page tables have it not"
            yield Foreseen("memory_map", "likely", told, 2)
            yield Foreseen("wrong_entry", "possible", where, 3)
        else:
            yield Foreseen("wrong_entry", "possible", where, 3)
    elif exception.stage >= Stage.PURGATORY:
        yield Foreseen("digest", "likely", f"{where}, in the purgatory, which nothing checks", 1)
    else:
        yield Foreseen("wrong_entry", "likely", f"{where}, where the purgatory should begin", 1)


def _is_in_kernel(box: Box, address: int) -> bool:
    kernels = [each for each in box.template.segments if each.kind == "kernel"]
    return not kernels or any(each.start <= address < each.start + each.size for each in kernels)


def _differs(box: Box) -> str:
    start, size = box.piece
    wanted, found = box.wanted.hex(), box.found.hex()
    kept = f": {box.algorithm} is {found}, and was {wanted}" if box.algorithm else ""
    return f"{size_text(size)} at {start:#x}{kept}"


def _known(box: Box | None, loaded: Loaded | None, facts: Facts | None) -> Iterator[Foreseen]:
    """What was foreseen at the load, and what this machine's facts foresee of that command line."""
    seen = set()
    for rule, confidence, fact in loaded.foreseen if loaded is not None else ():
        if rule in CATALOG and confidence in CONFIDENCES:
            seen.add(rule)
            yield Foreseen(rule, confidence, visible(fact, most=200), 2)
    for rule in box.template.risks if box is not None else ():
        if rule in CATALOG and rule not in seen:
            seen.add(rule)
            yield Foreseen(rule, "possible", "foreseen when it was loaded", 3)
    if loaded is None:
        return
    if loaded.efi is False and facts is not None and facts.efi:
        seen.add("efi_rsdp")
        yield Foreseen("efi_rsdp", "likely", "this machine has EFI, and its tables were not handed on", 2)
    for each in of_files(loaded):
        if each.rule not in seen:
            yield each
    line = _OUR_CONSOLE.sub("", loaded.command_line)
    command = Command(frozenset(), loaded.kernel or None, loaded.initrds, line)
    evidence = Evidence((), None, None, None, None, 0, command, ())
    for each in after_the_jump(evidence, facts) if facts is not None else ():
        if each.rule not in seen:
            yield each


def _of_watchdog(box: Box | None, loaded: Loaded | None, boot: ThisBoot) -> Iterator[Foreseen]:
    """A watchdog that nobody asked for is a reason; one that --rescue started ended what had stopped already."""
    if boot.bitten is not None and (loaded is None or loaded.rescue is None):
        told = f"{visible(boot.bitten, most=80)} says that it reset the machine"
        early = box is not None and box.stage is not None and box.stage < Stage.ENTERING
        sure = "likely" if early or loaded is not None else "possible"
        yield Foreseen("watchdog", sure, told, 1 if early else 3)


def _ranked(found: list[Foreseen]) -> tuple[Cause, ...]:
    found.sort(key=lambda each: (CONFIDENCES.index(each.confidence), each.weight))
    by_rule: dict[str, Foreseen] = {}
    for each in found:
        by_rule.setdefault(each.rule, each)
    return tuple(_cause(each) for each in list(by_rule.values())[:_MOST])


def _cause(found: Foreseen) -> Cause:
    about = page(found.rule)
    return Cause(found.rule, found.confidence, about.title, found.fact, about.helps[0], about.commands[0])


def facts_of_this_computer() -> Facts | None:
    """None where they cannot be read, as by others than root."""
    from warmboot.live.facts import read_facts  # noqa: PLC0415 - only a story that has causes needs them

    try:
        return read_facts()
    except WarmbootError:
        return None

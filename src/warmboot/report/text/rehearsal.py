"""A rehearsal's stages as text."""

from __future__ import annotations

from warmboot.figures import BootFigures, HandOverFigures, ModelLoadFigures, RehearsalPlaceFigures
from warmboot.report.text.loading import memory_lines
from warmboot.report.text.segments import segment_lines
from warmboot.report.text.words import size_text

__all__ = ["boot_lines", "hand_over_lines", "model_load_lines", "rehearsal_place_lines"]

_DIGEST_NAMES = {"xxh64": "XXH64", "sha256": "SHA-256"}
_REGISTERS_A_LINE = 4
_WIDE = 68  # columns for so many


def rehearsal_place_lines(figures: RehearsalPlaceFigures, width: int = 0) -> list[str]:
    """Where everything goes."""
    added = f" ({figures.command_line_added} added, to see the boot)" if figures.command_line_added else ""
    return [
        f"by {figures.call}: {figures.why}",
        *segment_lines(figures, width),
        *memory_lines(figures, width),
        *figures.unpacked,
        f"command line: {figures.command_line or '(empty)'}{added}",
        *(f"differs from the facts: {each}" for each in figures.differs_from_facts),
    ]


def model_load_lines(figures: ModelLoadFigures) -> list[str]:
    """How much was loaded, and how fast."""
    rate = figures.memory / max(figures.seconds, 1e-6)
    return [
        f"{size_text(figures.bytes)} loaded for {size_text(figures.memory)} in {figures.seconds:.2f} s"
        f" ({size_text(int(rate))} a second)",
        f"{figures.page_list_entries} page-list entries, {figures.pages} pages allocated,"
        f" {figures.control_pages} of them control pages",
    ]


def hand_over_lines(figures: HandOverFigures, width: int = 0) -> list[str]:
    """What was executed, and the registers at the kernel's entry."""
    seconds = figures.relocation_seconds + figures.purgatory_seconds
    registers = [f"{name}={value:#x}" for name, value in figures.registers.items() if value or name == "rip"]
    count = _REGISTERS_A_LINE if not width or width >= _WIDE else _REGISTERS_A_LINE // 2
    rows = [registers[first : first + count] for first in range(0, len(registers), count)]
    return [
        f"relocation and purgatory executed {figures.executed} in {seconds:.2f} s",
        _digest_text(figures),
        "at the kernel's entry, registers that are not 0:",
        *("  " + "  ".join(row) for row in rows),
    ]


def _digest_text(figures: HandOverFigures) -> str:
    if figures.digest_algorithm == "none":
        return "nothing is checked: --digest none"
    name = _DIGEST_NAMES[figures.digest_algorithm]
    return f"{name} over {size_text(figures.digest_bytes)}: {figures.digest}"


def _phases_text(figures: BootFigures) -> str:
    dark, *others = figures.phases
    rest = ", ".join(f"{each.name} {each.seconds:.2f} s" for each in others)
    return f"{dark.seconds:.2f} s of that before the kernel's first line; then {rest}"


def boot_lines(figures: BootFigures) -> list[str]:
    """What the new kernel said."""
    acpi = "ACPI seen" if figures.acpi else "no ACPI seen"
    processors = figures.processors or 1
    init = f", {figures.init} started" if figures.init is not None else ""
    return [
        figures.machine,
        f"Linux {figures.release or 'unknown'}, {processors} processor{'s' if processors > 1 else ''} brought up,"
        f" {acpi}",
        f"{figures.seconds:.2f} s from the hand-over to {figures.reached}{init}",
        *([_phases_text(figures)] if len(figures.phases) > 1 else []),
        *([f"its first line: {figures.first_words}"] if figures.first_words is not None else []),
        *figures.notes,
    ]

"""What a rehearsal's stages show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from warmboot.report.text.stages import inspect_lines, segment_lines
from warmboot.report.text.terminal import size_text
from warmboot.stages import Stage

__all__ = ["REHEARSAL_LINES"]

_REGISTERS_A_LINE = 4


def _place(stage: Stage) -> list[str]:
    figures = stage.figures
    added = f" ({figures['command_line_added']} added, to see the boot)" if figures["command_line_added"] else ""
    return [
        *segment_lines(figures["segments"]),
        f"entry {figures['entry']:#x} in the purgatory, which enters the kernel at {figures['kernel_entry']:#x}",
        f"command line: {figures['command_line'] or '(empty)'}{added}",
        *(f"differs from the facts: {each}" for each in figures["differs_from_facts"]),
    ]


def _permit(stage: Stage) -> list[str]:
    return [
        f"all {len(stage.figures['passed'])} checks of {stage.figures['profile']} passed; assumed: the caller is root,"
        " and no security module or IMA policy forbids it"
    ]


def _load(stage: Stage) -> list[str]:
    figures = stage.figures
    rate = figures["memory"] / max(figures["seconds"], 1e-6)
    return [
        f"{size_text(figures['bytes'])} loaded for {size_text(figures['memory'])} in {figures['seconds']:.2f} s"
        f" ({size_text(int(rate))} a second)",
        f"{figures['page_list_entries']} page-list entries, {figures['pages']} pages allocated,"
        f" {figures['control_pages']} of them control pages",
    ]


def _hand_over(stage: Stage) -> list[str]:
    figures = stage.figures
    seconds = figures["relocation_seconds"] + figures["purgatory_seconds"]
    registers = [f"{name}={value:#x}" for name, value in figures["registers"].items() if value or name == "rip"]
    rows = [registers[first : first + _REGISTERS_A_LINE] for first in range(0, len(registers), _REGISTERS_A_LINE)]
    return [
        f"relocation and purgatory executed {figures['executed']} in {seconds:.2f} s",
        f"SHA-256 over {size_text(figures['digest_bytes'])}: {figures['digest']}",
        "at the kernel's entry, registers that are not 0:",
        *("  " + "  ".join(row) for row in rows),
    ]


def _boot(stage: Stage) -> list[str]:
    figures: dict[str, Any] = stage.figures
    acpi = "ACPI seen" if figures["acpi"] else "no ACPI seen"
    processors = figures["processors"] or 1
    init = f", {figures['init']} started" if "init" in figures else ""
    return [
        figures["machine"],
        f"Linux {figures['release'] or 'unknown'}, {processors} processor{'s' if processors > 1 else ''} brought up,"
        f" {acpi}",
        f"{figures['seconds']:.2f} s from the hand-over to {figures['reached']}{init}",
        *([f"its first words: {figures['first_words']}"] if "first_words" in figures else []),
    ]


REHEARSAL_LINES: dict[str, Callable[[Stage], list[str]]] = {
    "inspect": inspect_lines,
    "place": _place,
    "permit": _permit,
    "load": _load,
    "hand over": _hand_over,
    "boot": _boot,
}

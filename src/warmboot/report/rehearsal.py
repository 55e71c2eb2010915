"""A rehearsal as it happens, for a person: each stage with its figures, then the verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from warmboot.errors import ExitStatus
from warmboot.kernel import Rule
from warmboot.rehearsal import Outcome, Rehearsal, Stage
from warmboot.report.text import Progress, Terminal, size_text, table

__all__ = ["TextReport", "inspect_lines"]

_NAME = 10  # width of the column in which a stage's name stands
_REGISTERS_A_LINE = 4


class TextReport:
    """An Observer that prints. With `show_console` the new kernel's lines are among its own."""

    def __init__(self, *, show_console: bool = True) -> None:
        self._terminal = Terminal()
        self._progress = Progress()
        self._show_console = show_console
        self._name = ""

    def begins(self, name: str) -> None:
        self._progress.begin()
        self._name = name

    def progress(self, name: str, done: int, total: int) -> None:
        self._progress.show(name, done, total)

    def check(self, rule: Rule) -> None:
        self._progress.clear()
        self._show([f"{self._terminal.good('passed')}   {rule.name}"])

    def console(self, text: str) -> None:
        if self._name:
            self._show(["the new kernel's console:" if self._show_console else "under way"])
        if self._show_console:
            self._terminal.line(self._terminal.faint(f"  | {text}"))

    def ends(self, stage: Stage) -> None:
        self._progress.clear()
        if stage.outcome is Outcome.PASSED:
            self._show(_LINES[stage.name](stage))
            return
        colour = self._terminal.faint if stage.outcome is Outcome.NOT_TRIED else self._terminal.bad
        errno = f" {stage.figures['errno']} by {stage.figures['rule']}" if "errno" in stage.figures else ""
        self._show([f"{colour(stage.outcome)}{errno}: {stage.problem}"])

    def verdict(self, rehearsal: Rehearsal) -> None:
        """The last line, and what helps where it is not good."""
        self._progress.clear()
        passed = rehearsal.exit_status is ExitStatus.DONE
        colour = self._terminal.good if passed else self._terminal.bad
        self._name = "verdict"
        self._show([colour(rehearsal.verdict)] + ([f"try: {rehearsal.hint}"] if rehearsal.hint else []))

    def close(self) -> None:
        """Leave no unfinished line on the terminal."""
        self._progress.clear()

    def _show(self, lines: list[str]) -> None:
        for line in lines:
            name = self._terminal.bold(self._name) if self._name else ""
            self._terminal.line(f"{name}{' ' * (_NAME - len(self._name))}{line}")
            self._name = ""


def inspect_lines(stage: Stage) -> list[str]:
    """What a kernel file is, in a few lines."""
    figures = stage.figures
    where = "anywhere, also above 4 GiB" if figures["above_4g"] else "below 4 GiB"
    if not figures["relocatable"]:
        where = "only there"
    return [
        f"{figures['file']}",
        f"{figures['format']} {figures['version'].split(' ')[0]}, boot protocol {figures['protocol']},"
        f" {figures['compression']} inside",
        f"{size_text(figures['bytes'])} to load, needs {size_text(figures['init_size'])},"
        f" prefers {figures['pref_address']:#x}, can run {where}",
        f"aligned to {size_text(figures['kernel_alignment'])}, command line up to {figures['cmdline_size']} bytes",
    ]


def _place(stage: Stage) -> list[str]:
    rows = [("segment", "physical address", "memory", "of it loaded")]
    for each in stage.figures["segments"]:
        end = each["mem"] + each["memsz"] - 1
        rows.append(
            (each["name"], f"{each['mem']:#011x}-{end:#011x}", size_text(each["memsz"]), size_text(each["bufsz"]))
        )
    figures = stage.figures
    added = f" ({figures['command_line_added']} added, to see the boot)" if figures["command_line_added"] else ""
    return [
        *table(rows, right=(2, 3)),
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


_LINES: dict[str, Callable[[Stage], list[str]]] = {
    "inspect": inspect_lines,
    "place": _place,
    "permit": _permit,
    "load": _load,
    "hand over": _hand_over,
    "boot": _boot,
}

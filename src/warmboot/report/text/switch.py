"""A switch as text: its stages, and the report after it."""

from __future__ import annotations

from datetime import UTC, datetime

from warmboot.report.text.words import size_text, table
from warmboot.switch_figures import (
    AnySwitchFigures,
    ArrivedFile,
    KeepFigures,
    KeptFile,
    SwitchCheckFigures,
    SwitchJumpFigures,
    SwitchReport,
    TellFigures,
)

__all__ = ["held_lines", "switch_report_lines", "switch_stage_lines"]


def switch_stage_lines(figures: AnySwitchFigures) -> list[str]:
    """The lines of a stage that passed."""
    match figures:
        case SwitchCheckFigures():
            way = "a live update" if figures.handover else f"a plain fast reboot: {figures.why_cold}"
            lines = [f"from Linux {figures.release} to {figures.kernel}, {way}", *held_lines(figures.held)]
            return [*lines, *(f"hook {each}" for each in figures.hooks), *figures.notes]
        case KeepFigures():
            what = "preserved" if figures.done else "would be preserved"
            return [f"{size_text(figures.bytes)} {what}: {', '.join(figures.files)}"]
        case TellFigures():
            return [f"{_count(len(figures.hooks), 'hook')} and {_count(figures.services, 'service')} told"]
        case SwitchJumpFigures():
            return [f"by {figures.by}"]


def held_lines(held: tuple[KeptFile, ...]) -> list[str]:
    """What services have handed over."""
    if not held:
        return []
    return table(
        [(each.name, size_text(each.size), each.unit or (f"pid {each.pid}" if each.pid else "")) for each in held]
    )


def switch_report_lines(report: SwitchReport) -> list[str]:
    """The report: steps, files, downtime."""
    if not report.id:
        return [report.verdict]
    lines = [f"from Linux {report.before or '(not known)'} to {report.now}, switch {report.id}"]
    rows = [(each.name, _seconds(each.seconds)) for each in report.steps]
    if report.gap is not None:
        rows.append(("jump", f"{_seconds(report.gap)} until the agent had taken over (exact to {report.error:g} s)"))
    rows.append(("take over", _seconds(report.taking_over)))
    lines += table(rows)
    if report.jump is not None:
        lines.append(f"jumped at {datetime.fromtimestamp(report.jump / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC")
    lines += [_file_line(each, report.error) for each in report.files]
    return [*lines, report.verdict]


def _file_line(file: ArrivedFile, error: float) -> str:
    if file.lost:
        return f"{file.name}: lost: {file.lost}"
    taken = "its service took it" if file.retrieved is not None else "no service has asked for it"
    down = "" if file.down is None else f"; clients had no answer for {_seconds(file.down)} (exact to {error:g} s)"
    return f"{file.name}: {size_text(file.size)} arrived, {taken}{down}"


def _seconds(value: float) -> str:
    return f"{value:.2f} s"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

"""The report of the last switch: what the agent of this kernel knows, with the journal that was handed over."""

from __future__ import annotations

from pathlib import Path

from warmboot.live.files import text as file_text
from warmboot.numbers import number
from warmboot.switch_figures import ArrivedFile, SwitchReport, SwitchStep
from warmboot.switching.journal import clocks_of, steps_of, words_of
from warmboot.switching.kernel_words import handover_is_on, switch_of_command_line
from warmboot.visible import visible

__all__ = ["report_of"]

_CLOCK_ERROR = 1.0  # seconds: Linux reads the battery-backed clock at its start, which has whole seconds
_COUNTER_ERROR = 0.01  # seconds: of the processor's counter, whose rate is measured over the steps of the switch
_MOST_AHEAD = 3600.0  # seconds that the battery-backed clock may be wrong
_LONGEST = 1e6  # seconds between two kernels that may be believed
_NOT_STARTED = "no agent of live updates runs here, so nothing was taken over"


def report_of(told: str | None, kept_journal: Path) -> SwitchReport:
    """The report of what the agent has `told`, None where there is none; `kept_journal` is read where nothing came."""
    lines = (told or "").split("\n")
    rows = [tuple(each.split(" ", 2)) for each in lines]
    expected = (words_of(told, "expected") if told is not None else switch_of_command_line()).strip("-")
    problem = words_of(told, "problem") if told is not None else _why_no_agent()
    before = "\n".join(each.removeprefix("before ") for each in lines if each.startswith("before "))
    if not before:
        before = file_text(str(kept_journal)) or ""
        if not expected or words_of(before, "id") != expected:
            before = ""
    steps = steps_of(before)
    jump = next((each.began for each in steps if each.name == "jump"), None)
    began, took_over = _pair(words_of(told or "", "took-over"))
    ahead, error = _clock_step(clocks_of(before), clocks_of(told or ""))
    files = _files(rows, ahead)
    identity = words_of(before, "id") or expected
    return SwitchReport(
        id=visible(identity),
        before=visible(words_of(before, "from")),
        now=visible(words_of(told or "", "release")) or (file_text("/proc/sys/kernel/osrelease") or ""),
        kernel=visible(words_of(before, "to")),
        steps=tuple(
            SwitchStep(visible(each.name), each.began, max(0.0, (each.ended - each.began) / 1e9))
            for each in steps
            if each.name != "jump"
        ),
        jump=jump,
        gap=(took_over - jump) / 1e9 - ahead if jump is not None and took_over else None,
        error=error,
        taking_over=(took_over - began) / 1e9,
        files=files,
        problem=visible(problem if identity else ""),
        verdict=_verdict(identity, files, problem),
    )


def _why_no_agent() -> str:
    if handover_is_on():
        return _NOT_STARTED
    return f"this kernel has no /dev/liveupdate; {_NOT_STARTED}"


def _clock_step(before: list[tuple[int, int]], after: list[tuple[int, int]]) -> tuple[float, float]:
    """Seconds that this kernel's clock is ahead of the one before, by the processor's counter; how exact they are."""
    if len(before) < 2 or not after:
        return 0.0, _CLOCK_ERROR
    (start, start_ticks), (jump, jump_ticks), (now, ticks) = before[0], before[-1], after[0]
    if jump - start < 10_000_000 or not start_ticks < jump_ticks < ticks:
        return 0.0, _CLOCK_ERROR
    truly = (ticks - jump_ticks) * (jump - start) / (jump_ticks - start_ticks) / 1e9
    ahead = (now - jump) / 1e9 - truly
    if truly > _LONGEST or abs(ahead) > _MOST_AHEAD:  # another counter
        return 0.0, _CLOCK_ERROR
    return ahead, _COUNTER_ERROR


def _files(rows: list[tuple[str, ...]], ahead: float) -> tuple[ArrivedFile, ...]:
    retrieved = {row[1]: number(row[2], most=1 << 63) for row in rows if row[0] == "retrieved" and len(row) == 3}
    answered = {row[1]: _pair(row[2]) for row in rows if row[0] == "answered" and len(row) == 3}
    files = []
    for row in rows:
        if len(row) != 3 or row[0] not in ("arrived", "lost"):
            continue
        what, name, rest = row
        first, last = answered.get(name, (0, 0))
        files.append(
            ArrivedFile(
                name=visible(name),
                size=(number(rest) or 0) if what == "arrived" else 0,
                lost=visible(rest) if what == "lost" else "",
                retrieved=retrieved.get(name),
                down=(last - first) / 1e9 - ahead if first and last else None,
            )
        )
    return tuple(files)


def _pair(text: str) -> tuple[int, int]:
    first, _, second = text.partition(" ")
    return number(first, most=1 << 63) or 0, number(second, most=1 << 63) or 0


def _verdict(identity: str, files: tuple[ArrivedFile, ...], problem: str) -> str:
    if not identity:
        return "this kernel was not started by a switch"
    lost = [each for each in files if each.lost]
    if lost:
        return f"{len(files) - len(lost)} of {len(files)} files arrived"
    if files:
        return f"every file arrived: {len(files)}"
    return f"nothing was handed over: {problem}" if problem else "nothing was handed over, and nothing was to be"

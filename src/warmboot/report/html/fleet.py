"""A fleet as one HTML page, whose size does not grow with the number of machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warmboot.fleet.answers import FleetAnswer, MachineAnswer
from warmboot.numbers import size_text
from warmboot.report.html.render import Head, render
from warmboot.visible import visible

__all__ = ["Survey", "fleet_page"]

_REFUSING, _LOADING = 300, 100  # machines that have a row of their own
_RELEASES = 20
_MOST_RELEASES = 4096  # that are counted
_RISKS = 40
_NAME, _REASON = 60, 300  # characters


@dataclass(slots=True)
class Survey:
    """What a page shows of machines, in memory that is bounded; `add` each as it is answered."""

    refusing: list[MachineAnswer] = field(default_factory=list)
    loading: list[MachineAnswer] = field(default_factory=list)
    holes: Counter[tuple[int, bool]] = field(default_factory=Counter)
    halves: Counter[tuple[int, bool]] = field(default_factory=Counter)
    releases: Counter[tuple[str, bool]] = field(default_factory=Counter)
    takes: int = 0

    def add(self, answer: MachineAnswer) -> None:
        """Count one."""
        kept, most = (self.loading, _LOADING) if answer.loads else (self.refusing, _REFUSING)
        if len(kept) < most:
            kept.append(answer)
        if answer.largest_hole is not None:
            self.holes[answer.largest_hole.bit_length(), answer.loads] += 1
        if answer.half_of_memory is not None:
            self.halves[answer.half_of_memory.bit_length(), answer.loads] += 1
        release = answer.release if len(self.releases) < _MOST_RELEASES else "others"
        self.releases[release, answer.loads] += 1
        self.takes = max(self.takes, answer.takes or 0)


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    loads: int
    refuses: int


def fleet_page(answer: FleetAnswer, survey: Survey, document: Mapping[str, Any], *, panic: bool) -> str:
    """The page's text. `document` is what --json prints."""
    rooms = [("Reserved for the crash kernel" if panic else "Largest free range", _sizes(survey.holes))]
    if not panic:
        rooms.append(("Half of memory: more no image may take", _sizes(survey.halves)))
    shown = [*survey.refusing, *survey.loading]
    return render(
        "fleet.html.j2",
        Head("check", Path(answer.kernel).name, answer.verdict, answer.exit_status == 0),
        document,
        answer=answer,
        takes=size_text(survey.takes) if survey.takes else "",
        groups=[
            {
                "group": each,
                "names": ", ".join(visible(name, most=_NAME) for name in each.names),
                "more": each.machines - len(each.names),
                "short": size_text(each.short) if each.short else "",
                "reason": visible(each.reason, most=_REASON) if each.reason != each.subject else "",
                "tried_on": visible(each.tried_on, most=_NAME),
            }
            for each in answer.groups
        ],
        risks=[
            {
                "subject": visible(each.subject, most=_REASON),
                "confidence": each.confidence,
                "machines": each.machines,
                "names": ", ".join(visible(name, most=_NAME) for name in each.names),
                "rule": each.rule,
            }
            for each in answer.risks[:_RISKS]
        ],
        notes=sorted(answer.notes.items(), key=lambda each: (-each[1], each[0])),
        rooms=[(title, rows, max(each.loads + each.refuses for each in rows)) for title, rows in rooms if rows],
        releases=_releases(survey.releases),
        machines=[_machine(each) for each in shown],
        left_out=answer.machines - len(shown),
        left_out_refusing=answer.refuses - len(survey.refusing),
    )


def _sizes(counts: Mapping[tuple[int, bool], int]) -> list[_Row]:
    """A row for each power of two from the least to the greatest, also where nobody is."""
    found = {bits for bits, _ in counts}
    if not found:
        return []
    return [
        _Row(_between(bits), counts.get((bits, True), 0), counts.get((bits, False), 0))
        for bits in range(min(found), max(found) + 1)
    ]


def _between(bits: int) -> str:
    return f"{size_text(1 << bits - 1)} to {size_text(1 << bits)}" if bits else "none"


def _releases(counts: Mapping[tuple[str, bool], int]) -> list[_Row]:
    names = {name for name, _ in counts}
    rows = [
        _Row(visible(name, most=_NAME) or "not known", counts.get((name, True), 0), counts.get((name, False), 0))
        for name in names
    ]
    rows.sort(key=lambda each: (-each.loads - each.refuses, each.name))
    rest = rows[_RELEASES:]
    if rest:
        more = _Row(f"{len(rest):,} others", sum(each.loads for each in rest), sum(each.refuses for each in rest))
        return [*rows[:_RELEASES], more]
    return rows


def _machine(answer: MachineAnswer) -> dict[str, Any]:
    return {
        "name": visible(answer.name, most=_NAME),
        "loads": answer.loads,
        "why": f"{answer.rule}: {visible(answer.reason, most=_REASON)}" if not answer.loads else "",
        "release": visible(answer.release, most=_NAME),
        "room": list(_room(answer)),
    }


def _room(answer: MachineAnswer) -> Iterator[str]:
    for size in (answer.largest_hole, answer.half_of_memory, answer.crash_reservation):
        yield "-" if size is None else size_text(size) if size else "none"

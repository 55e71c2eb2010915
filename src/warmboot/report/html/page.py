"""A result as one HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from warmboot.crash_figures import DumpFigures, ReserveFigures
from warmboot.errors import ExitStatus
from warmboot.figures import HandOverFigures, PermitFigures, PlaceFigures, RehearsalPlaceFigures
from warmboot.memmap import Range
from warmboot.report.html.members import rows
from warmboot.report.html.memory import MemoryPicture, memory_picture
from warmboot.report.html.render import Head, render
from warmboot.report.html.timeline import timeline
from warmboot.stages import Outcome, Result, Stage

__all__ = ["Page", "page_html"]

_MARKS = {Outcome.PASSED: "✔", Outcome.REFUSED: "✘", Outcome.FAILED: "✘", Outcome.NOT_TRIED: "○"}
_TONES = {Outcome.PASSED: "good", Outcome.NOT_TRIED: "faint"}  # bad are all others
_SHOWN_APART = frozenset({"segments", "passed", "registers", "digests", "ram", "crash_kernel"})


@dataclass(frozen=True, slots=True)
class Page:
    """What a page is made of: `document` is what --json prints, and lies in the page too.

    `console` are the console's last lines, `left_out` how many came before them; `facts` are members of a machine's
    facts.
    """

    command: str
    subject: str
    result: Result
    document: Mapping[str, Any]
    console: Sequence[str] = ()
    left_out: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)


def page_html(page: Page) -> str:
    """The page's text. Everything from outside is escaped, and made visible where it would steer."""
    result = page.result
    head = Head(page.command, page.subject, result.verdict, result.exit_status is ExitStatus.DONE, result.hint)
    return render(
        "page.html.j2",
        head,
        page.document,
        picture=_picture(result),
        bars=timeline(result.stages),
        seconds=sum(each.seconds for each in result.stages),
        stages=[_stage(each) for each in result.stages],
        console=page.console,
        left_out=page.left_out,
        facts=json.dumps(page.facts, indent=2) if page.facts else "",
    )


def _picture(result: Result) -> MemoryPicture | None:
    """Of the first stage that knows where things are."""
    for stage in result.stages:
        match stage.figures:
            case PlaceFigures(ram=ram, segments=segments) if ram and segments is not None:
                parts = {each.name: [Range(each.mem, each.mem + each.memsz)] for each in segments}
                if stage.figures.crash_kernel:
                    parts = {"crash kernel (reserved)": list(stage.figures.crash_kernel), **parts}
                return memory_picture(ram, parts)
            case PlaceFigures(ram=ram, crash_kernel=crash_kernel) if ram and stage.outcome is Outcome.REFUSED:
                return memory_picture(ram, {"crash kernel (reserved)": list(crash_kernel)} if crash_kernel else {})
            case ReserveFigures(ram=ram, reserved=reserved) if ram:
                return memory_picture(ram, {"crash kernel (reserved)": list(reserved)})
            case _:
                pass
    return None


def _stage(stage: Stage) -> dict[str, Any]:
    figures = stage.figures
    return {
        "name": stage.name,
        "mark": _MARKS[stage.outcome],
        "tone": _TONES.get(stage.outcome, "bad"),
        "outcome": stage.outcome.value,
        "seconds": f"{stage.seconds:.2f} s",
        "problem": stage.problem,
        "hint": stage.hint,
        "refusal": stage.refusal,
        "checks": figures.passed if isinstance(figures, PermitFigures) else (),
        "segments": figures.segments or () if isinstance(figures, PlaceFigures) else (),
        "digests": figures.digests if isinstance(figures, RehearsalPlaceFigures) else (),
        "registers": figures.registers if isinstance(figures, HandOverFigures) else {},
        "processors": figures.processors if isinstance(figures, DumpFigures) else (),
        "rows": rows(figures, _SHOWN_APART | ({"processors"} if isinstance(figures, DumpFigures) else set())),
    }

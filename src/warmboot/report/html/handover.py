"""A handover as one HTML page: the memory picture, and each side's users, sessions and owners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from warmboot.handover.figures import Side
from warmboot.memmap import Range, merge
from warmboot.report.html.memory import MemoryPicture, memory_picture
from warmboot.report.html.render import Head, render
from warmboot.report.text.handover import SIDES, handover_lines, picture_parts
from warmboot.report.text.words import size_text

if TYPE_CHECKING:
    from warmboot.handover.figures import HandoverAnswer, SideFigures

__all__ = ["handover_page"]

_CELLS = 400  # of all RAM: what is closer than one of them is drawn as one
_MOST_OWNERS = 200


def handover_page(answer: HandoverAnswer, document: Mapping[str, Any]) -> str:
    """The page's text. `document` is what --json prints."""
    parts = picture_parts(answer)
    return render(
        "handover.html.j2",
        Head("handover show", answer.source, *_verdict(answer)),
        document,
        picture=_picture(answer.ram, parts) if answer.ram and parts else None,
        legend=[(number % 6, name, size_text(_total(parts[name]))) for number, name in enumerate(parts)],
        problems=answer.problems,
        sides=[_side(each) for each in answer.sides],
        text="\n".join(handover_lines(answer)),
    )


def _picture(ram: Sequence[Range], parts: Mapping[str, Sequence[Range]]) -> MemoryPicture:
    cell = max(1, sum(each.size for each in ram) // _CELLS)
    picture = memory_picture(ram, {name: _joined(ranges, cell) for name, ranges in parts.items()})
    # The table has a row for each kind, none for each range that the numbers below a strip would be of.
    return replace(picture, strips=tuple(replace(each, labels=()) for each in picture.strips))


def _joined(ranges: Sequence[Range], cell: int) -> list[Range]:
    joined = list[Range]()
    for each in merge(ranges):
        if joined and each.start - joined[-1].end <= cell:
            joined[-1] = Range(joined[-1].start, each.end)
        else:
            joined.append(each)
    return joined


def _total(ranges: Sequence[Range]) -> int:
    return sum(each.size for each in merge(ranges))


def _verdict(answer: HandoverAnswer) -> tuple[str, bool]:
    problems = [*answer.problems, *(each for side in answer.sides for each in side.problems)]
    shown = next((each for each in answer.sides if each.side is Side.OUT), answer.sides[0])
    kept = f"{size_text(shown.map.bytes)} preserved" if shown.map else "what is preserved cannot be read"
    return f"{kept}, sessions: {len(shown.sessions)}, memfds without one: {len(shown.loose)}", not problems


def _side(side: SideFigures) -> dict[str, Any]:
    return {
        "title": f"{side.side.value}: {SIDES[side.side]}",
        "problems": side.problems,
        "notes": side.notes,
        "owners": [
            {
                "name": each.name,
                "kind": each.kind.value,
                "size": size_text(each.bytes),
                "listed": size_text(each.listed),
                "ranges": len(each.ranges),
                "first": str(each.ranges[0]) if each.ranges else "",
            }
            for each in side.owners[:_MOST_OWNERS]
        ],
        "more": max(0, len(side.owners) - _MOST_OWNERS),
        "unowned": size_text(_total(side.unowned)) if side.unowned else "",
        "files": [
            {"session": session.name, "token": f"{each.token:#x}", "handler": each.handler, "memfd": each.memfd}
            for session in side.sessions
            for each in session.files
        ],
        "loose": side.loose,
    }

"""A fleet for people: the summary, the groups of refusals, and with --verbose each machine."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from warmboot.fleet.answers import FleetAnswer, MachineAnswer, RiskGroup
from warmboot.numbers import size_text
from warmboot.visible import visible

__all__ = ["fleet_lines", "machine_line"]

_MOST_RISKS = 8


def fleet_lines(answer: FleetAnswer) -> Iterator[str]:
    """The summary first, the groups, the largest first, risks, what was assumed, and what could not be used."""
    yield f"{answer.kernel} (Linux {answer.version.partition(' ')[0]}): {answer.verdict}"
    for each in answer.groups:
        yield ""
        yield f"  {each.machines:,} of {answer.machines:,} refuse: {each.subject} ({each.rule})"
        more = f", and {each.machines - len(each.names):,} more" if each.machines > len(each.names) else ""
        yield f"    on {', '.join(visible(name, most=60) for name in each.names)}{more}"
        if each.reason != each.subject:
            yield from _folded(f"{visible(each.tried_on, most=60)}: {each.reason}")
        if each.short:
            yield f"    missing: {size_text(each.short)} at most"
        if each.change:
            yield f"    would fix it: {each.change}"
        else:
            yield from _folded(f"try: {each.hint}")
    if answer.risks:
        yield from _risk_lines(answer.risks)
    if answer.notes:
        yield ""
        for note, count in sorted(answer.notes.items(), key=lambda each: (-each[1], each[0])):
            yield from _folded(f"assumed or not checked on {count:,}: {note}", "  ")
    if answer.problems:
        yield ""
        for problem in answer.problems:
            yield from _folded(f"cannot be used: {visible(problem)}", "  ")
        if answer.unusable > len(answer.problems):
            yield f"  and {answer.unusable - len(answer.problems):,} more"


def _risk_lines(risks: Sequence[RiskGroup]) -> Iterator[str]:
    yield ""
    yield "  after the jump, where it would load:"
    for each in risks[:_MOST_RISKS]:
        names = ", ".join(visible(name, most=60) for name in each.names[:2])
        more = f", and {each.machines - 2:,} more" if each.machines > 2 else ""
        yield from _folded(f"{each.confidence}: {visible(each.subject)} ({each.rule}): on {names}{more}")
    if len(risks) > _MOST_RISKS:
        yield f"    and {len(risks) - _MOST_RISKS} more: --json"
    yield f"    why, and what helps: warmboot explain {risks[0].rule}"


def _folded(text: str, indent: str = "    ") -> list[str]:
    return textwrap.wrap(
        text,
        110,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def machine_line(answer: MachineAnswer) -> str:
    """One machine on a line."""
    name = visible(answer.name, most=60)
    if answer.largest_hole is None or answer.half_of_memory is None:
        return f"{name}: refuses: {answer.reason} ({answer.rule})"
    room = f"largest hole {size_text(answer.largest_hole)}, half of memory {size_text(answer.half_of_memory)}"
    room += f", reserved {size_text(answer.crash_reservation or 0)}"
    if answer.loads:
        return f"{name}: loads, takes {size_text(answer.takes or 0)}; {room}"
    return f"{name}: refuses: {visible(answer.reason)} ({answer.rule}); {room}"

"""What KHO reserves, and why, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from warmboot.report.text.words import size_text, table

if TYPE_CHECKING:
    from warmboot.handover.cost import Cost

__all__ = ["cost_lines"]


def cost_lines(found: Cost) -> Iterator[str]:
    """The answer of `warmboot handover cost`."""
    state = {True: "on", False: "off", None: "on only with kho=on, if the kernel has it"}[found.enabled]
    yield f"KHO is {state}; {found.word or 'kho_scratch= is not given'}: {_by(found.scale)}"
    yield ""
    yield "What is reserved early:"
    rows = [("PART", "BELOW 4 GiB", "ABOVE", "NODE", "WHY")]
    rows += [
        (
            *(each.name, size_text(each.low) if each.low else "", size_text(each.high) if each.high else ""),
            *("" if each.node is None else str(each.node), each.why if each.exact else f"{each.why} (assumed)"),
        )
        for each in found.parts
    ]
    yield from table(rows, right=(1, 2, 3))
    yield f"together {size_text(found.reserved)}, {size_text(found.reserved_low)} of it below 4 GiB"
    yield ""
    yield "Scratch areas:"
    areas = [(each.name, size_text(each.size), _real(each.real)) for each in found.areas]
    areas.append(("together", size_text(found.total), _real(found.real)))
    yield from table([("AREA", "PREDICTED", "REAL"), *areas], right=(1, 2))
    yield f"{found.share:g}% of memory; only pages that can be moved use it meanwhile"
    if not found.fits:
        yield "the machine has not so much: Linux reserves nothing and switches KHO off"
    yield ""
    yield "What the next kernel needs of it:"
    needs = [(each.name, size_text(each.size), each.area, each.why) for each in found.needs]
    yield from table([("WHAT", "SIZE", "WHERE", "WHY"), *needs], right=(1,))
    for note in found.notes:
        yield f"note: {note}"
    yield ""
    yield f"enough, with an eighth to spare: {size_text(found.enough_total)}{_saved(found.saves)}; for the boot loader:"
    yield f"  {found.enough}"


def _real(size: int | None) -> str:
    return "not known" if size is None else size_text(size)


def _by(scale: int) -> str:
    return f"{scale}% of what the kernel has reserved early" if scale else "the sizes that it names"


def _saved(saves: int) -> str:
    if saves > 0:
        return f", {size_text(saves)} less"
    return f", {size_text(-saves)} more than now" if saves < 0 else ""

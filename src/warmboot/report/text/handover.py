"""What `warmboot handover show` found, as text: the kernel, a picture of memory, and each handover with its owners."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from warmboot.handover.figures import OwnerKind, Side
from warmboot.memmap import Range
from warmboot.report.text.memory import memory_picture
from warmboot.report.text.words import size_text

if TYPE_CHECKING:
    from warmboot.handover.figures import (
        FileFigures,
        HandoverAnswer,
        LuoFigures,
        MapFigures,
        MemfdFigures,
        OwnerFigures,
        SideFigures,
        VersionFigures,
    )

__all__ = ["SIDES", "handover_lines", "picture_parts"]

SIDES = {
    Side.OUT: "what this kernel would hand over",
    Side.IN: "what this kernel was handed",
    Side.LEFT_OVER: "what an earlier kernel left in memory",
    Side.UNKNOWN: "a handover, of which nothing tells whose it is",
}
_RANGES = 2  # of an owner, that are shown; the rest are in --json
_PICTURED = (*(each for each in OwnerKind),)


def handover_lines(answer: HandoverAnswer) -> Iterator[str]:
    """The answer of `warmboot handover show`."""
    of = f", Linux {answer.release}" if answer.release else ""
    yield f"{answer.source}{of}, read from {answer.memory}"
    if answer.parameters:
        yield f"  parameters  {' '.join(answer.parameters)}"
    total = sum(each.size for each in answer.scratch)
    told = f"{len(answer.scratch)} areas, {size_text(total)}, told by {answer.scratch_source}"
    yield f"  scratch     {told if answer.scratch else 'where it is cannot be told'}"
    for each in answer.scratch:
        yield f"    {each}  {size_text(each.size)}"
    for held in answer.held:
        yield f"  session     {held.name!r} is held by {held.process} (pid {held.pid})"
    parts = picture_parts(answer)
    if answer.ram and parts:
        yield ""
        yield from (f"  {line}" for line in memory_picture(answer.ram, parts))
    for side in answer.sides:
        yield ""
        yield from _side(side)
    for problem in answer.problems:
        yield ""
        yield f"problem: {problem}"


def picture_parts(answer: HandoverAnswer) -> dict[str, Sequence[Range]]:
    """What is drawn in memory: scratch areas, and what is preserved, by the kind of its owner."""
    parts: dict[str, Sequence[Range]] = {}
    if answer.scratch:
        parts["scratch"] = answer.scratch
    for kind in _PICTURED:
        ranges = [each for side in answer.sides for owner in side.owners if owner.kind is kind for each in owner.ranges]
        if ranges:
            parts[kind.value] = ranges
    unowned = [each for side in answer.sides for each in side.unowned]
    if unowned:
        parts["without an owner"] = unowned
    return parts


def _side(side: SideFigures) -> Iterator[str]:
    yield f"{side.side.value}: {SIDES[side.side]}"
    where = f", at {side.address:#x}" if side.address else ""
    yield f"  format      {_version(side.version)}{where}"
    if side.chain:
        count = side.chain.kexec_count
        yield f"  kernels     from Linux {side.chain.previous_release}, kexec number {count} since the cold boot"
    if side.map:
        yield from _map(side.map)
    if side.luo:
        yield from _luo(side.luo)
    for session in side.sessions:
        yield f"  session     {session.name!r}, {session.found}: {_counted(len(session.files), 'file')}"
        for each in session.files:
            yield f"    {each.token:#x}  {_file(each)}"
    for memfd in side.loose:
        yield f"  memfd       {memfd.address:#x}: {_memfd(memfd)}, {memfd.found}"
    yield from _users(side)
    for owner in side.owners:
        yield from _owner(owner, mapped=side.map is not None and side.map.confirmed)
    if side.unowned:
        yield from _ranges("without an owner", side.unowned)
    for note in side.notes:
        yield f"  note        {note}"
    for problem in side.problems:
        yield f"  problem     {problem}"


def _luo(luo: LuoFigures) -> Iterator[str]:
    yield f"  LUO         {_version(luo.version)}, live update {luo.number}"
    for bound in luo.bound:
        yield f"  bound       {bound.name}, {_counted(bound.count, 'file')}"


def _users(side: SideFigures) -> Iterator[str]:
    for reserved in side.reserve_mem:
        place = Range(reserved.start, reserved.start + reserved.size)
        yield f"  reserve_mem {reserved.name}: {place}, {size_text(reserved.size)}"
    if side.test:
        found = side.test.sum_found
        verdict = "cannot be read whole" if found is None else f"sum {side.test.checksum:#x}"
        yield f"  test module {side.test.folios} folios, {size_text(side.test.bytes)}, {verdict}"


def _version(version: VersionFigures) -> str:
    if not version.known:
        return f"{version.compatible}, which is not known here; read as {version.read_as}"
    return f"{version.compatible} ({f'Linux {version.since}' if version.since else 'of no release'})"


def _map(found: MapFigures) -> Iterator[str]:
    pages = ", ".join(f"{count:,} of order {order}" for order, count in found.folios.items())
    yield f"  preserved   {size_text(found.bytes)}: {pages or 'nothing'}"
    words = f"{found.kind} of {_counted(found.pages, 'page')} at {found.address:#x}"
    if found.damaged:
        words += f", {found.damaged} of which are something else now"
    elif not found.confirmed:
        words += ", which does not list all that structures tell of"
    yield f"  map         {words}{', cut short' if found.cut_short else ''}"


def _file(each: FileFigures) -> str:
    if each.memfd is None:
        return f"{each.handler}, data {each.data:#x}"
    return _memfd(each.memfd)


def _memfd(memfd: MemfdFigures) -> str:
    words = [
        memfd.version.compatible,
        size_text(memfd.size),
        f"{_counted(memfd.folios, 'folio')} in {_counted(memfd.pieces, 'piece')}",
    ]
    words += [f"seals {', '.join(memfd.seals)}"] if memfd.seals else []
    words += [f"position {memfd.position}"] if memfd.position else []
    if not memfd.whole:
        words.append("not all of which can be read")
    return ", ".join(words)


def _owner(owner: OwnerFigures, *, mapped: bool) -> Iterator[str]:
    name = f"{owner.name} ({owner.kind.value})" if owner.kind.value not in owner.name else owner.name
    missing = owner.bytes - owner.listed
    yield from _ranges(name, owner.ranges, f", {size_text(missing)} not in the map" if mapped and missing else "")


def _ranges(name: str, ranges: Sequence[Range], more: str = "") -> Iterator[str]:
    total = sum(each.size for each in ranges)
    shown = ", ".join(map(str, ranges[:_RANGES]))
    rest = f" and {len(ranges) - _RANGES:,} more" if len(ranges) > _RANGES else ""
    yield f"  owner       {name}: {size_text(total)} at {shown}{rest}{more}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"

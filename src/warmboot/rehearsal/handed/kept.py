"""What is preserved in a machine's memory: kept as it was before the jump, and compared with what arrived."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from warmboot.closing import Closing
from warmboot.errors import WarmbootError
from warmboot.files.anonymous import new_file
from warmboot.handed_figures import ArrivedFigures, ArrivedPart, PreservedPart
from warmboot.handover.figures import HandoverAnswer, OwnerKind, Side, SideFigures
from warmboot.handover.from_file import look_file
from warmboot.memmap import Range
from warmboot.memmap.ranges import merge, subtract

__all__ = ["Kept", "Preserved", "preserved_in"]

_PIECE = 1 << 20  # bytes that are compared at once
_PAGE = 4096
_SHOWN = 8  # addresses that differ
_KERNELS_OWN = (OwnerKind.KHO, OwnerKind.LUO)
_NOBODY = "no owner found", ""


@dataclass(frozen=True, slots=True)
class Preserved:
    """What a look at a machine's memory finds on one side; `ranges` by owner, as name and kind."""

    answer: HandoverAnswer | None
    side: SideFigures | None
    ranges: Mapping[tuple[str, str], tuple[Range, ...]]
    problems: tuple[str, ...]

    @property
    def parts(self) -> tuple[PreservedPart, ...]:
        """Each owner's bytes."""
        return tuple(
            PreservedPart(name, kind, sum(each.size for each in ranges)) for (name, kind), ranges in self.ranges.items()
        )

    @property
    def of_the_kernel(self) -> list[Range]:
        """What the kernel itself keeps there."""
        kinds = {each.value for each in _KERNELS_OWN}
        return [part for (_, kind), ranges in self.ranges.items() if kind in kinds for part in ranges]

    @property
    def names(self) -> dict[int, str]:
        """Session and token of each memfd, by the address of its structure."""
        sessions = self.side.sessions if self.side else ()
        return {file.data: f"{each.name}/{file.token:#x}" for each in sessions for file in each.files}


def preserved_in(memory_fd: int, side: Side) -> Preserved:
    """What is preserved in that memory, which must stand still."""
    try:
        answer = look_file(Path(f"/proc/self/fd/{memory_fd}")).answer
    except WarmbootError as error:
        return Preserved(None, None, {}, (str(error),))
    found = next((each for each in answer.sides if each.side is side), None)
    found = found or next((each for each in answer.sides if each.side is Side.UNKNOWN), None)
    if found is None:
        return Preserved(answer, None, {}, answer.problems)
    ranges = {(each.name, each.kind.value): each.ranges for each in found.owners if each.ranges}
    if found.unowned:
        ranges[_NOBODY] = found.unowned
    return Preserved(answer, found, ranges, (*answer.problems, *found.problems))


class Kept(Closing):
    """A copy of preserved memory, at the same addresses in a sparse file."""

    def __init__(self, memory_fd: int, preserved: Preserved) -> None:
        self._preserved = preserved
        self._held = ExitStack()
        self._fd = new_file("handover-kept")
        self._held.callback(os.close, self._fd)
        for each in merge(part for ranges in preserved.ranges.values() for part in ranges):
            for at in range(each.start, each.end, _PIECE):
                os.pwrite(self._fd, os.pread(memory_fd, min(_PIECE, each.end - at), at), at)

    def close(self) -> None:
        """Forget it."""
        self._held.close()

    def compared(self, memory_fd: int, arrived: Preserved) -> ArrivedFigures:
        """The same memory now, beside what was kept; names are those that the second kernel tells."""
        own = {each.value for each in _KERNELS_OWN}
        names, parts = arrived.names, list[ArrivedPart]()
        written = [*self._written_until_the_jump, *arrived.of_the_kernel]
        for (name, kind), all_ranges in self._preserved.ranges.items():
            ranges = all_ranges if kind in own else tuple(subtract(all_ranges, written))
            same, differs = self._compare(memory_fd, ranges)
            total = sum(each.size for each in ranges)
            if not total:
                continue
            told = next((text for at, text in names.items() if f"{at:#x}" in name), name)
            parts.append(ArrivedPart(told, kind, total, same, kind not in own, tuple(differs)))
        content = [each for each in parts if each.content]
        return ArrivedFigures(
            tuple(parts),
            sum(each.bytes for each in content),
            sum(each.same for each in content),
            tuple(sorted(each.name for each in arrived.side.sessions)) if arrived.side else (),
        )

    @property
    def _written_until_the_jump(self) -> list[Range]:
        """What the kernel writes at the jump: the positions of memfds into their structures, and its list of sessions.

        That list has no owner before, as it is blank: so are blank pages that nobody owns.
        """
        side = self._preserved.side
        at = [each.address & -_PAGE for each in side.loose] if side else []
        for each in self._preserved.ranges.get(_NOBODY, ()):
            at += (page for page in range(each.start, each.end, _PAGE) if not any(os.pread(self._fd, _PAGE, page)))
        return [Range(each, each + _PAGE) for each in at]

    def _compare(self, memory_fd: int, ranges: Iterable[Range]) -> tuple[int, list[int]]:
        """Bytes of pages that are the same, and the addresses of the first pages that are not."""
        same, differs = 0, list[int]()
        for each in ranges:
            for at in range(each.start, each.end, _PIECE):
                size = min(_PIECE, each.end - at)
                before, now = os.pread(self._fd, size, at), os.pread(memory_fd, size, at)
                if before.ljust(size, b"\0") == now:
                    same += size
                    continue
                before = before.ljust(size, b"\0")
                for page in range(0, size, _PAGE):
                    if before[page : page + _PAGE] == now[page : page + _PAGE]:
                        same += min(_PAGE, size - page)
                    elif len(differs) < _SHOWN:
                        differs.append(at + page)
        return same, differs

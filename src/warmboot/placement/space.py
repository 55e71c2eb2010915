"""Free physical memory while an image is being placed."""

from __future__ import annotations

from collections.abc import Iterable

from warmboot.errors import RefusedError
from warmboot.memmap.ranges import Range, subtract
from warmboot.placement.reason import Reason, Search
from warmboot.uapi import PAGE_SIZE

__all__ = ["NoRoomError", "Space"]


class NoRoomError(RefusedError):
    """A part of an image fits nowhere: `what` it is, its `size`, the `largest` range that is free, bytes; and where
    it was looked for, from address `least` up to, not including, `below`."""

    def __init__(self, what: str, size: int, largest: int, hint: str, *, least: int = 0, below: int = 1 << 64) -> None:
        place = f" from {least:#x} up" if least else ""
        place += f" below {below:#x}" if below < 1 << 64 else ""
        super().__init__(
            f"no room for the {what}: {size} bytes in one piece{place}, the largest free range there has {largest}",
            hint=hint,
        )
        self.what = what
        self.size = size
        self.largest = largest
        self.least = least
        self.below = below


class Space:
    """Ranges of RAM, of which pieces are taken one by one. Addresses are physical.

    `hint`, if given, replaces the hint of the caller where nothing fits.
    """

    def __init__(self, ram: Iterable[Range], taken: Iterable[Range] = (), hint: str = "") -> None:
        self._hint = hint
        self.free: list[Range] = subtract(ram, taken)
        self.reasons: dict[int, Reason] = {}  # why what was taken lies there, by its start
        self._missed: Range | None = None  # what was wanted first
        self._search: tuple[Range, Search] | None = None

    @property
    def end(self) -> int:
        """The address after the highest free byte, 0 where nothing is free."""
        return max((each.end for each in self.free), default=0)

    def take(self, where: Range) -> Range:
        """Take exactly this range, which must be free."""
        if not self.has(where):
            raise ValueError(f"{where} is not free")
        found, search = self._search or (where, None)
        if not found.contains(where):  # an image that is moved is taken in parts
            search = None
        self.reasons[where.start] = Reason(where, search, self._missed, self.free)
        if search is None or found == where:
            self._search = self._missed = None
        self.free = _without(self.free, where)
        return where

    def has(self, where: Range) -> bool:
        """Whether all of the range is free."""
        found = False
        for each in self.free:
            if each.start <= where.start and where.end <= each.end:
                found = True
                break
        if not found:
            self._missed = where
        return found

    def lowest(self, size: int, *, align: int, least: int, below: int) -> Range | None:
        """The lowest free range of `size` bytes at a multiple of `align`, from `least` up and ending below `below`."""
        for each in self.free:
            start = -(-max(each.start, least) // align) * align
            if start + size <= min(each.end, below):
                return self._found(start, size, Search("lowest", align, least, below))
        return None

    def highest(self, size: int, *, align: int, least: int, below: int) -> Range | None:
        """The highest such range."""
        for each in reversed(self.free):
            start = (min(each.end, below) - size) // align * align
            if start >= max(each.start, least):
                return self._found(start, size, Search("highest", align, least, below))
        return None

    def fullest(self, where: Range, *, least: int, below: int) -> Range:
        """This free range, which was found as most of its pages are in use."""
        return self._found(where.start, where.size, Search("fullest", PAGE_SIZE, least, below))

    def chosen(self, where: Range, *, align: int, least: int, below: int) -> Range:
        """Take this free range, which chance chose among all such."""
        self._search = where, Search("random", align, least, below)
        return self.take(where)

    def _found(self, start: int, size: int, search: Search) -> Range:
        found = Range(start, start + size)
        self._search = found, search
        return found

    def no_room(self, what: str, size: int, hint: str, *, least: int = 0, below: int = 1 << 64) -> NoRoomError:
        """The refusal where a piece fits nowhere from `least` up to `below`, which counts where RAM goes on beyond."""
        below = below if below < self.end else 1 << 64
        sizes = (min(each.end, below) - max(each.start, least) for each in self.free)
        return NoRoomError(what, size, max(0, *sizes, 0), self._hint or hint, least=least, below=below)


def _without(free: list[Range], where: Range) -> list[Range]:
    """Sorted ranges without `where`, which lies in one of them."""
    if where.size == 0:
        return free
    number = next(number for number, each in enumerate(free) if each.start <= where.start < each.end)
    around = free[number]
    left = [Range(around.start, where.start)] if around.start < where.start else []
    if where.end < around.end:
        left.append(Range(where.end, around.end))
    return [*free[:number], *left, *free[number + 1 :]]

"""Free physical memory while an image is being placed."""

from __future__ import annotations

from collections.abc import Iterable

from warmboot.errors import RefusedError
from warmboot.memmap.ranges import Range, subtract

__all__ = ["Space"]


class Space:
    """Ranges of RAM, of which pieces are taken one by one. Addresses are physical.

    `hint`, if given, replaces the hint of the caller where nothing fits.
    """

    def __init__(self, ram: Iterable[Range], taken: Iterable[Range] = (), hint: str = "") -> None:
        self._hint = hint
        self.free: list[Range] = subtract(ram, taken)

    @property
    def end(self) -> int:
        """The address after the highest free byte, 0 where nothing is free."""
        return max((each.end for each in self.free), default=0)

    def take(self, where: Range) -> Range:
        """Take exactly this range, which must be free."""
        if not self.has(where):
            raise ValueError(f"{where} is not free")
        self.free = subtract(self.free, [where])
        return where

    def has(self, where: Range) -> bool:
        """Whether all of the range is free."""
        return any(each.contains(where) for each in self.free)

    def lowest(self, size: int, *, align: int, least: int, below: int) -> Range | None:
        """The lowest free range of `size` bytes at a multiple of `align`, from `least` up and ending below `below`."""
        for each in self.free:
            start = -(-max(each.start, least) // align) * align
            if start + size <= min(each.end, below):
                return Range(start, start + size)
        return None

    def highest(self, size: int, *, align: int, least: int, below: int) -> Range | None:
        """The highest such range."""
        for each in reversed(self.free):
            start = (min(each.end, below) - size) // align * align
            if start >= max(each.start, least):
                return Range(start, start + size)
        return None

    def no_room(self, what: str, size: int, hint: str, *, least: int = 0) -> RefusedError:
        """The refusal where a piece fits nowhere from `least` up."""
        largest = max((each.end - max(each.start, least) for each in self.free if each.end > least), default=0)
        place = f" from {least:#x} up" if least else ""
        return RefusedError(
            f"no room for the {what}: {size} bytes in one piece{place}, the largest free range there has {largest}",
            hint=self._hint or hint,
        )

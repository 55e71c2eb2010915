"""What placement asks of an architecture's purgatory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from warmboot.purgatory.parameters import Backup, Console, Entry, Marks, Region

__all__ = ["PurgatoryArch"]


class PurgatoryArch(Protocol):
    """One architecture's purgatory."""

    @property
    def jump_back_text_size(self) -> int:
        """Bytes that it writes after a command line for a kernel that may return to the running one."""
        ...

    def size(self, regions: int, *, box: bool = False) -> int:
        """Bytes of one that checks so many regions, and has the template of a black box or none."""
        ...

    def build(
        self,
        entry: Entry,
        regions: Sequence[Region],
        *,
        console: Console | None = None,
        jump_back_text: int = 0,
        backup: Backup | None = None,
        marks: Marks | None = None,
    ) -> bytes:
        """One that checks `regions` and enters the image as `entry` says; without regions nothing is checked.

        `jump_back_text`, if not 0, is the physical address after a command line where `jump_back_text_size` bytes are
        free.
        """
        ...

    def unchecked(self) -> tuple[int, bytes]:
        """What to write over one, and at which offset, so that it checks nothing."""
        ...

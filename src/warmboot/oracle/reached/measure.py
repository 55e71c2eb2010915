"""What was come to, counted: block by block, against the table of reasons."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from warmboot.oracle.reached.blocks import Block
from warmboot.oracle.reached.reasons import Kind, Reason, Reasons

__all__ = ["Count", "Measured"]


@dataclass(frozen=True, slots=True)
class Count:
    """Blocks: all, those come to, and those that only fault injection, another machine or nothing comes to."""

    blocks: int
    reached: int
    excused: int

    @property
    def rate(self) -> float:
        """The part of those reachable that was reached."""
        reachable = self.blocks - self.excused
        return self.reached / reachable if reachable else 1.0


@dataclass(frozen=True)
class Measured:
    """`blocks` of a kernel, the addresses of those that were `reached`, and why others were not."""

    blocks: Sequence[Block]
    reached: Set[int]
    reasons: Reasons

    @cached_property
    def unreached(self) -> list[Block]:
        """The blocks that nothing came to."""
        return [each for each in self.blocks if each.start not in self.reached]

    @property
    def files(self) -> list[str]:
        """In the order in which the blocks name them."""
        return list(dict.fromkeys(each.place.file for each in self.blocks))

    def count(self, *files: str) -> Count:
        """Of those files."""
        mine = [each for each in self.blocks if each.place.file in files]
        reached = [each for each in mine if each.start in self.reached]
        excused = [each for each in mine if each.start not in self.reached and self._excused(each)]
        return Count(len(mine), len(reached), len(excused))

    @property
    def unknown(self) -> list[Block]:
        """Blocks that were not come to, and of which the table says nothing."""
        return [each for each in self.unreached if self.reasons.of(each) is None]

    @property
    def idle(self) -> list[tuple[str, int]]:
        """Rows of the table without such a block."""
        return self.reasons.idle(self.unreached)

    def by_reason(self, kind: Kind) -> list[tuple[Reason, list[Block]]]:
        """The blocks of one kind, by what they depend on, in the order of the code."""
        found: dict[Reason, list[Block]] = {}
        for each in sorted(self.unreached, key=lambda block: (block.place.file, block.place.line)):
            reason = self.reasons.of(each)
            if reason is not None and reason.kind is kind:
                found.setdefault(reason, []).append(each)
        return list(found.items())

    def _excused(self, block: Block) -> bool:
        reason = self.reasons.of(block)
        return reason is not None and not reason.kind.reachable

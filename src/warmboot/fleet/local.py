"""A fleet checked by processes of this computer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from warmboot.fleet.check import Answers, Found
from warmboot.fleet.checker import Checker
from warmboot.fleet.plan import Plan
from warmboot.fleet.workers import DiedError, in_order

__all__ = ["Local"]


@dataclass(frozen=True)
class Local:
    """So many `jobs`, or one for each processor; a fleet of one chunk is checked in this process."""

    jobs: int | None
    tell: Callable[[str], None]

    def __call__(self, plan: Plan, chunks: Iterable[Found]) -> Iterator[tuple[Found, Answers | DiedError]]:
        """The answers, in order."""
        checker = Checker(plan)
        chunks = iter(chunks)
        first = list(islice(chunks, 2))
        jobs = 1 if len(first) < 2 and self.jobs is None else self.jobs or len(os.sched_getaffinity(0))
        return in_order(checker, chain(first, chunks), jobs, self.tell)

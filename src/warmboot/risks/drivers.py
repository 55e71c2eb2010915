"""Which PCI drivers shut their devices down: a table that tools/drivers made out of the modules of Debian's kernels.

It is about drivers that are part of Linux and built as modules. What was built into a kernel, or comes from elsewhere,
such as nvidia's driver, is not in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from warmboot.numbers import number

__all__ = ["ABSENT", "DMA", "HAS", "LACKS", "NO_DMA", "RELEASES", "TABLE", "Driver", "Known", "drivers"]

TABLE = Path(__file__).with_name("drivers.txt")
RELEASES = ("6.1", "6.12", "7.2")  # the columns, the oldest first
HAS, LACKS, ABSENT = "+", "-", "."
DMA, NO_DMA = "dma", "-"
_COLUMNS = tuple(tuple(map(int, each.split("."))) for each in RELEASES)
_RELEASE = re.compile(r"([0-9]{1,5})\.([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Known:
    """Whether a driver has a shutdown method in a release, and `by` which releases of the table that is known.

    `sure`: that very release was read. Else the releases before and after it agree, or there is none after it.
    """

    lacks: bool
    by: tuple[str, ...]
    sure: bool


@dataclass(frozen=True, slots=True)
class Driver:
    """A row: the driver by the name that /sys/bus/pci/drivers has, its module, and a mark for each of RELEASES.

    `masters` is DMA where its devices may do DMA.
    """

    name: str
    module: str
    marks: str
    masters: str

    def known(self, release: str) -> Known | None:
        """What is known of it in a kernel of that release, such as 6.8.0-45-generic; None where that is nothing.

        Of releases older than the table nothing is, and nothing where the ones before and after differ.
        """
        found = _RELEASE.match(release)
        at = tuple(number(each) or 0 for each in found.groups()) if found is not None else (0, 0)
        before = sum(each <= at for each in _COLUMNS)
        if not before:
            return None
        sure = _COLUMNS[before - 1] == at
        near = range(before - 1, before if sure else min(before + 1, len(_COLUMNS)))
        marks = {self.marks[each] for each in near} - {ABSENT}
        if len(marks) != 1:
            return None
        by = tuple(RELEASES[each] for each in near if self.marks[each] != ABSENT)
        return Known(marks == {LACKS}, by, sure)


@cache
def drivers() -> Mapping[str, Driver]:
    """All of the table, by name. Of drivers that share a name, one that lacks a method stands for all."""
    found: dict[str, Driver] = {}
    for each in _rows(TABLE.read_text("utf-8").splitlines()):
        other = found.get(each.name)
        found[each.name] = each if other is None else _both(each, other)
    return found


def _rows(lines: Iterable[str]) -> Iterator[Driver]:
    for line in lines:
        words = line.split("\t")
        if len(words) == len(Driver.__slots__):
            yield Driver(*words)


def _both(one: Driver, other: Driver) -> Driver:
    """Where a release has both, the one that has no method counts."""
    order = (LACKS, HAS, ABSENT)
    marks = "".join(min(pair, key=order.index) for pair in zip(one.marks, other.marks, strict=True))
    return Driver(one.name, one.module, marks, max(one.masters, other.masters, key=(NO_DMA, DMA).index))

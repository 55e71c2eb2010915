"""The configurations under which the model is compared with a kernel, and what each promises to compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from warmboot.kernel import Profile, choose
from warmboot.memmap import Facts
from warmboot.oracle.calls.coverage import Coverage, Kind
from warmboot.oracle.calls.deliberate import Schedule
from warmboot.oracle.calls.fuzz import Target, compare_answers, generated
from warmboot.oracle.calls.recorder import record
from warmboot.oracle.calls.replay import Disagreement
from warmboot.oracle.calls.trace import Answer, Operation

__all__ = ["CELLS", "Cell", "Compared"]

_NEVER = 2.0
_GIB = 1 << 30
_LOADS = frozenset(
    {
        *(Kind.ENTRY_64, Kind.ENTRY_32, Kind.NORMAL, Kind.UNLOADED, Kind.NOBODY),
        *(Kind.FAULT_FIRST, Kind.FAULT_MIDDLE, Kind.FAULT_LAST, Kind.BELOW_HALF, Kind.HALF, Kind.ABOVE_HALF),
    }
)
_RESERVED = frozenset(
    {
        *(Kind.CRASH, Kind.CRASH_FAULT_FIRST, Kind.CRASH_FAULT_MIDDLE, Kind.CRASH_FAULT_LAST),
        *(Kind.SHRUNK, Kind.CRASH_SHRUNK, Kind.SHRINK_LOADED, Kind.GROW),
    }
)
_GONE = frozenset({Kind.SHRUNK_TO_NOTHING, Kind.NO_RESERVATION})
_LIMITS = frozenset({Kind.LIMIT_COUNTED, Kind.LIMIT_REACHED})
_ENDS = _LIMITS | {Kind.DISABLED}


@dataclass(frozen=True, slots=True)
class Compared:
    """One configuration's outcome; `missing` are promised kinds of which no call was compared."""

    facts: Facts
    operations: list[Operation]
    answers: list[Answer]
    results: list[Disagreement | None]
    coverage: Coverage
    missing: list[Kind]


@dataclass(frozen=True, slots=True)
class Cell:
    """A machine of `memory` bytes with `append` on its command line, how many calls, and the kinds it promises."""

    name: str
    memory: int
    append: str
    calls: int
    promised: frozenset[Kind]
    schedule: Schedule = field(default_factory=Schedule)

    @property
    def slug(self) -> str:
        """The name as part of a file's."""
        return self.name.replace(",", "").replace(" ", "-")

    def promises(self, profile: Profile) -> frozenset[Kind]:
        """Kinds of which that kernel must show at least one call."""
        kinds = self.promised
        if not profile.load_limits and kinds & _LIMITS:
            kinds = kinds - _LIMITS | {Kind.NO_LIMITS}
        return kinds if profile.shrinks_low_reservation else kinds - {Kind.SHRUNK_LOW, Kind.LOW_LEFT}

    def run(self, kernel: Path, seed: int, calls: int | None = None) -> Compared:
        """Generate, record and compare. Raises GuestError."""
        target = Target(kernel, self.memory, self.append)
        operations = generated(target.facts(), seed, calls or self.calls, schedule=self.schedule)
        facts, answers = record(kernel, operations, memory=self.memory, append=self.append)
        results, coverage = compare_answers(facts, operations, answers)
        promised = self.promises(choose(facts).profile)
        return Compared(facts, operations, answers, results, coverage, sorted(promised - coverage.kinds.keys()))


def _cells() -> Iterator[Cell]:
    yield Cell("main", _GIB, "crashkernel=16M", 20000, _LOADS | _RESERVED | _GONE | _ENDS | {Kind.CRASH_LOW})
    yield Cell("no reservation", _GIB, "", 1500, _LOADS | _ENDS | {Kind.NO_RESERVATION, Kind.GROW})
    low = _LOADS | _RESERVED | _GONE | _ENDS | {Kind.CRASH_LOW}
    yield Cell("low, 4 GiB", 4 * _GIB, "crashkernel=256M", 1500, low)
    high = _LOADS | _RESERVED | _GONE | _ENDS | {Kind.CRASH_HIGH}
    yield Cell("high, 4 GiB", 4 * _GIB, "crashkernel=64M,high", 1500, high | {Kind.SHRUNK_LOW})
    yield Cell(
        "high and low, 8 GiB",
        8 * _GIB,
        "crashkernel=128M,high crashkernel=64M,low",
        1500,
        high | {Kind.LOW_LEFT},
        Schedule(stops_at_low=True),
    )
    steps = Schedule(shrinks=0.05, shrinking=0.06, steps=(0.2, 0.35, 0.5, 0.65, 0.8), limits=_NEVER, disabled=_NEVER)
    yield Cell("low, step by step", _GIB, "crashkernel=16M", 1500, _LOADS | _RESERVED | {Kind.CRASH_LOW}, steps)
    yield Cell(
        "high, step by step",
        5 * _GIB,
        "crashkernel=32M,high crashkernel=32M,low",
        1500,
        _LOADS | _RESERVED | {Kind.CRASH_HIGH, Kind.SHRUNK_LOW},
        steps,
    )
    yield Cell("4-level tables of 2 MiB pages", _GIB, "crashkernel=16M no5lvl nogbpages", 3000, low)
    locked = frozenset({Kind.ENTRY_64, Kind.ENTRY_32, Kind.NOBODY, Kind.LOCKED_DOWN, Kind.SHRUNK, *_ENDS})
    for mode in ("integrity", "confidentiality"):
        yield Cell(f"lockdown {mode}", _GIB, f"crashkernel=16M lockdown={mode}", 1000, locked)
    yield Cell(
        "disabled halfway",
        _GIB,
        "crashkernel=16M",
        1500,
        _LOADS | _RESERVED | {Kind.DISABLED},
        Schedule(shrinks=0.1, steps=(0.2,), limits=_NEVER, disabled=0.5),
    )
    yield Cell(
        "limits counted down",
        _GIB,
        "crashkernel=16M",
        1500,
        _LOADS | _LIMITS | {Kind.CRASH},
        Schedule(shrinks=_NEVER, steps=(), limits=0.3, disabled=_NEVER),
    )


CELLS: Sequence[Cell] = tuple(_cells())

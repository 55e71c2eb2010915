"""Of what kind a compared call is: told right, and nothing told of calls that only resemble it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from support.kernels import facts_of
from warmboot.memmap import Range
from warmboot.oracle.calls.coverage import Coverage, Kind, State
from warmboot.oracle.calls.replay import Player
from warmboot.oracle.calls.trace import Buffer, CrashSize, KexecLoad, Operation, Sysctl, TraceSegment

X86_64, PAGE, MIB = 62 << 16, 4096, 1 << 20
LOW = Range(0x1000000, 0x1400000)
FACTS = facts_of(256 * MIB, crashkernel=32 * MIB, low_crash=LOW)
AREA = FACTS.crash_kernel[-1]
HALF = FACTS.totalram_pages // 2
LIMIT = "kernel.kexec_load_limit_reboot"
NOTHING = KexecLoad("x86_64", 0, X86_64, 0, ())
CRASH_NOTHING = NOTHING._replace(flags=X86_64 | 1)


def load(*buffers: Buffer, pages: int = 3, crash: bool = False) -> KexecLoad:
    """A segment of `pages` whole pages from each of these."""
    start = AREA.start if crash else 0x100000000
    step = pages * PAGE
    segments = tuple(TraceSegment(each, step, start + n * step, step) for n, each in enumerate(buffers))
    return KexecLoad("x86_64", start, X86_64 | crash, len(segments), segments)


def large(pages: int) -> KexecLoad:
    segment = TraceSegment(Buffer(), 1, 0x100000000, pages * PAGE)
    return KexecLoad("x86_64", 0, X86_64, 1, (segment,))


def edge(size: int) -> Buffer:
    return Buffer("edge", size)


# Operations, and of what kinds the last one is besides its entry.
CASES: list[tuple[Sequence[Operation], set[Kind]]] = [
    ([load(edge(0))], {Kind.FAULT_FIRST}),
    ([load(edge(PAGE - 1))], {Kind.FAULT_FIRST}),
    ([load(edge(PAGE))], {Kind.FAULT_MIDDLE}),
    ([load(edge(2 * PAGE))], {Kind.FAULT_LAST}),
    ([load(edge(3 * PAGE - 1))], {Kind.FAULT_LAST}),
    ([load(edge(3 * PAGE))], {Kind.NORMAL}),
    ([load(edge(0), pages=1)], set()),
    ([load(Buffer(), Buffer("null"))], {Kind.FAULT_FIRST}),
    ([load(edge(PAGE), crash=True)], {Kind.CRASH_FAULT_MIDDLE}),
    ([load(Buffer(), crash=True)], {Kind.CRASH, Kind.CRASH_LOW}),
    ([NOTHING._replace(abi="i386")], {Kind.UNLOADED}),
    ([load(Buffer())._replace(abi="i386", nr_segments=1 << 32)], {Kind.UNLOADED}),  # cut to 32 bits: none
    ([load(Buffer())._replace(nobody=True)], {Kind.NOBODY}),
    ([NOTHING], {Kind.UNLOADED}),
    ([large(HALF - 2)], {Kind.NORMAL}),
    ([large(HALF - 1)], {Kind.NORMAL, Kind.BELOW_HALF}),
    ([large(HALF)], {Kind.NORMAL, Kind.HALF}),
    ([large(HALF + 1)], {Kind.ABOVE_HALF}),
    ([large(HALF + 2)], set()),
    ([Sysctl(LIMIT, "2"), NOTHING], {Kind.UNLOADED, Kind.LIMIT_COUNTED}),
    ([Sysctl(LIMIT, "1"), NOTHING, NOTHING], {Kind.LIMIT_REACHED}),
    ([Sysctl(LIMIT, "1"), NOTHING._replace(nobody=True)], {Kind.NOBODY}),
    ([Sysctl("kernel.kexec_load_disabled", "1"), NOTHING], {Kind.DISABLED}),
    ([CrashSize(str(AREA.size + LOW.size))], set()),
    ([CrashSize(str(LOW.size + PAGE))], {Kind.SHRUNK}),
    ([CrashSize(str(LOW.size))], {Kind.SHRUNK, Kind.LOW_LEFT}),
    ([CrashSize(str(LOW.size - PAGE))], {Kind.SHRUNK, Kind.SHRUNK_LOW}),
    ([CrashSize("0")], {Kind.SHRUNK, Kind.SHRUNK_LOW, Kind.SHRUNK_TO_NOTHING}),
    ([CrashSize("99999999")], {Kind.GROW}),
    ([load(Buffer(), crash=True), CrashSize("0")], {Kind.SHRINK_LOADED}),
    ([CrashSize("0"), load(Buffer(), crash=True)], {Kind.NO_RESERVATION}),
    (
        [CRASH_NOTHING, CrashSize(str(LOW.size + 16 * MIB)), load(Buffer(), crash=True)],
        {Kind.CRASH, Kind.CRASH_LOW, Kind.CRASH_SHRUNK},
    ),
]


@pytest.mark.parametrize(("operations", "kinds"), CASES)
def test_kinds(operations: Sequence[Operation], kinds: set[Kind]) -> None:
    coverage = Coverage()
    last: set[Kind] = set()
    with Player(FACTS) as player:
        for operation in operations:
            before, counted = State.of(player.kernel), coverage.kinds.copy()
            coverage.add(before, operation, player.play(operation), player.error)
            last = set(coverage.kinds - counted)
    if isinstance(operations[-1], KexecLoad):
        kinds = kinds | {Kind.ENTRY_32 if operations[-1].abi == "i386" else Kind.ENTRY_64}
    assert last == kinds


def test_counts_are_added() -> None:
    total, one = Coverage(), Coverage()
    with Player(FACTS) as player:
        state = State.of(player.kernel)
        for operation in (NOTHING, NOTHING, large(HALF + 1)):
            one.add(state, operation, player.play(operation), player.error)
    total.update(one)
    total.update(one)
    assert total.kinds == {Kind.ENTRY_64: 6, Kind.UNLOADED: 4, Kind.ABOVE_HALF: 2}
    assert total.rules == {"half_of_memory": 2}

"""What a machine of many ranges costs: near-linear in the lines of its /proc/iomem."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

from support.kernels import MIB
from warmboot.machines.machine import Machine
from warmboot.memmap import Facts, Range
from warmboot.uapi import LoadRequest, Readable, Segment

ONE = LoadRequest(16 * MIB, (Segment(Readable.of(b"x"), 1, 16 * MIB, 4096),))


def machine_of(lines: int) -> str:
    """RAM in as many pieces, each with something nested in it, as JSON facts."""
    iomem = ["00001000-0009ffff : System RAM"]
    for number in range(1, lines // 2):
        start = number * MIB
        iomem.append(f"{start:08x}-{start + MIB - 4097:08x} : System RAM")
        iomem.append(f"  {start:08x}-{start + 4095:08x} : Kernel data")
    facts = Facts.of_pc(1 << 30)
    return replace(facts, iomem="\n".join(iomem) + "\n", totalram_pages=lines * 120).to_json()


def calls_of(work: Callable[[], object]) -> int:
    """How many functions, Python's and C's, the work calls."""
    count = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def load_there(text: str) -> None:
    """All that a rehearsal asks of facts, memory and model."""
    facts = Facts.from_json(text)
    facts.reserve(Range(64 * MIB, 65 * MIB))
    with Machine(facts) as machine:
        machine.kernel.kexec_load(ONE)


def test_twenty_thousand_lines() -> None:
    few, many = (machine_of(lines) for lines in (2000, 20000))
    assert calls_of(lambda: load_there(many)) < 12 * calls_of(lambda: load_there(few))

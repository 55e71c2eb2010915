"""Memory that runs out at every allocation, and sources that fault."""

from __future__ import annotations

import errno
from functools import partial
from itertools import chain, repeat

import pytest

from support.kernels import (
    CRASH,
    MIB,
    alloc_frames,
    crash_request,
    held,
    new_kernel,
    pattern,
    request,
    segment,
)
from support.kexec_calls import (
    BIG,
    CRASH_ONE,
    KILLED,
    LOW,
    OLD,
    RESERVED,
)
from warmboot.kernel import (
    Caller,
    Kernel,
    KexecError,
    Policy,
    Rule,
    rules,
)
from warmboot.uapi import (
    PAGE_SIZE,
)

# More than one indirection page long; most of it goes where no RAM is, which is as good a destination as any.
MEMORY_RULES = [rules.CONTROL_PAGES, rules.SWAP_PAGE, rules.PAGE_TABLES, rules.SOURCE_PAGES]


def rule_met(kernel: Kernel, caller: Caller) -> Rule | None:
    """Load a big image: the rule by which it failed without a trace, or None."""
    old = kernel.kexec_image
    try:
        kernel.kexec_load(BIG, caller)
    except KexecError as refusal:
        left = (kernel.kexec_image, kernel.pages.allocated, refusal.errno)
        assert left == (old, held(kernel), errno.ENOMEM)
        return refusal.rule
    assert kernel.kexec_image is not old
    return None


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize("release", ["6.11.0", "7.2.0"])
def test_memory_that_runs_out_at_every_allocation(policy: Policy, release: str) -> None:
    with new_kernel(release=release, policy=policy) as kernel:
        kernel.kexec_load(OLD)
        met: list[Rule] = []
        for pages in range(4 * BIG.memsz // PAGE_SIZE):
            kernel.pages.fail_after(pages)
            rule = rule_met(kernel, Caller())
            if rule is None:
                break
            met.append(rule)
        assert kernel.kexec_image is not None
        assert kernel.pages.allocated == held(kernel)
        assert list(dict.fromkeys(met)) == MEMORY_RULES
        assert sorted(met, key=MEMORY_RULES.index) == met
        if policy is Policy.CONTIGUOUS:
            assert pages == kernel.kexec_image.nr_pages


@pytest.mark.parametrize("page", [0, 1, 509, 510, 511, 1000, 1999])
def test_a_fault_comes_before_memory_runs_out_behind_it(page: int) -> None:
    faulty = request(segment(LOW, 2000 * PAGE_SIZE, pattern(page * PAGE_SIZE), missing=1))
    with new_kernel(release="6.11.0") as kernel:
        # Control code, swap page, tables, and the page list with its destination, up to the page that faults.
        needed = 2 + 1 + 2 + 3 + -(-(page + 2) // 511) + page + 1
        for pages, expected in ((needed - 1, rules.SOURCE_PAGES), (needed, rules.SOURCE_FAULT)):
            kernel.pages.fail_after(pages)
            with pytest.raises(KexecError) as raised:
                kernel.kexec_load(faulty)
            assert raised.value.rule == expected
            assert kernel.pages.allocated == 0


def test_the_whole_of_memory_is_enough() -> None:
    """Free memory that is just enough, and one page less."""
    with new_kernel() as kernel:
        kernel.kexec_load(BIG)
        needed = held(kernel)
        kernel.unload()
        filler = alloc_frames(kernel.pages, kernel.pages.free - needed)
        kernel.kexec_load(BIG)
        assert kernel.pages.free == 0
        kernel.unload()
        assert kernel.pages.alloc_pages(0) is not None
        with pytest.raises(KexecError, match="memory ran out at page 2 of 3 of segment 2"):
            kernel.kexec_load(BIG)
        assert kernel.pages.allocated == len(filler) + 1


def test_a_fatal_signal_is_out_of_memory() -> None:
    met: list[Rule] = []
    with new_kernel() as kernel:
        kernel.kexec_load(OLD)
        for looks in range(1000):
            pending = chain(repeat(False, looks), repeat(True))
            rule = rule_met(kernel, Caller(fatal_signal_pending=partial(next, pending)))
            if rule is None:
                break
            met.append(rule)
        assert list(dict.fromkeys(met)) == MEMORY_RULES


def test_crash_images_do_not_look_at_signals() -> None:
    with new_kernel(128 * MIB, crashkernel=CRASH) as kernel:
        kernel.kexec_load(crash_request(CRASH_ONE), KILLED)
        kernel.kexec_load(crash_request(), KILLED)
        assert kernel.pages.allocated == 0


# ---- sources that fault


@pytest.mark.parametrize("readable", [0, 1, PAGE_SIZE, 40 * PAGE_SIZE + 17, 99 * PAGE_SIZE, 100 * PAGE_SIZE - 1])
@pytest.mark.parametrize("crash", [False, True])
def test_a_source_that_faults(readable: int, crash: bool) -> None:
    where = RESERVED if crash else LOW
    size = 100 * PAGE_SIZE
    faulty = segment(where + MIB, size, pattern(readable), bufsz=size)
    make = crash_request if crash else request
    with new_kernel(128 * MIB, crashkernel=CRASH) as kernel:
        with pytest.raises(KexecError) as raised:
            kernel.kexec_load(make(segment(where, PAGE_SIZE, b"1"), faulty))
        assert raised.value.rule == rules.SOURCE_FAULT
        assert (raised.value.segment, raised.value.addresses) == (1, (readable, size))
        assert kernel.pages.allocated == 0
        if crash:  # what could be read is in the reservation already
            assert kernel.memory.read(where + MIB, readable) == pattern(readable)

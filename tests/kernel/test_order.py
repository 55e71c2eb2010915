"""The order of the checks is Linux's: of several rules that are broken, the first counts."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from support.kernels import (
    CRASH,
    MIB,
    crash_request,
    held,
    new_kernel,
    request,
    segment,
)
from support.kexec_calls import (
    CRASH_ONE,
    FLAGS,
    HIGH,
    LOW,
    NO_RIGHTS,
    ODD_START,
    ONE,
    RESERVED,
    WRAPS,
    lock,
    lockdown,
    sysctl,
)
from warmboot.kernel import (
    Caller,
    Kernel,
    KexecError,
    Lockdown,
    LockdownMode,
    Rule,
    Told,
    kexec,
    rules,
)
from warmboot.kernel.arch.x86_64.profile import x86_profile
from warmboot.uapi import (
    PAGE_SIZE,
    KexecArch,
    Segment,
    SegmentTable,
    Unreadable,
)


class Attempt:
    """A load of a crash image that breaks every rule at once; each repair mends one."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.caller = NO_RIGHTS
        self.flags = KexecArch.I386 | FLAGS.ON_CRASH | 0x10
        self.entry = 0
        self.readable: int | None = 0
        self.segments = {
            "good": CRASH_ONE,
            "wraps": WRAPS,
            "odd": ODD_START,
            "high": HIGH,
            "twice": segment(RESERVED, PAGE_SIZE),
            "buffer": segment(RESERVED - PAGE_SIZE, PAGE_SIZE, bufsz=PAGE_SIZE + 1),
            "half": segment(LOW, 64 * MIB),
            "outside": segment(MIB, PAGE_SIZE),
            "fault": segment(RESERVED + MIB, PAGE_SIZE, Unreadable(), bufsz=1),
            "full": segment(RESERVED + 2 * MIB, CRASH - 2 * MIB),
            "more": segment(RESERVED + 4 * PAGE_SIZE, MIB - 4 * PAGE_SIZE),
            "rest": segment(RESERVED + MIB + PAGE_SIZE, MIB - PAGE_SIZE),
        }
        self.segments |= {f"17 {number}": segment(2 * MIB + number * PAGE_SIZE, PAGE_SIZE) for number in range(5)}
        sysctl("kernel.kexec_load_disabled", 1)(kernel)
        kernel.kexec_load_limit_panic = 0
        kernel.security.hooks.append(lambda _: errno.EACCES)
        kernel.security.lockdown = Lockdown(LockdownMode.INTEGRITY)
        lock(kernel)

    def load(self) -> None:
        """Try it."""
        table = SegmentTable(list(self.segments.values()), self.readable)
        kexec.kexec_load(self.kernel, self.entry, len(self.segments), table, self.flags, self.caller)

    def without(self, *names: str) -> None:
        """Leave out segments."""
        for name in names:
            del self.segments[name]

    def repair(self, rule: Rule) -> None:
        """Mend what broke `rule`."""
        kernel = self.kernel
        profile = x86_profile(kernel.profile)
        code = 2 if profile.pgd_in_control_code else 1
        tables = (0 if profile.pgd_in_control_code else 1) + (2 if profile.gbpages_only_when_full else 1)
        repairs: dict[Rule, Callable[[], object]] = {
            rules.CAP_SYS_BOOT: lambda: setattr(self, "caller", Caller()),
            rules.LOAD_DISABLED: lambda: setattr(kernel, "kexec_load_disabled", False),
            rules.LOAD_LIMIT: lambda: setattr(kernel, "kexec_load_limit_panic", -1),
            rules.LSM: kernel.security.hooks.clear,
            rules.LOCKDOWN: lambda: lockdown(LockdownMode.NONE)(kernel),
            rules.LEGAL_FLAGS: lambda: setattr(self, "flags", self.flags & ~0x10),
            rules.SEGMENT_COUNT: lambda: self.without(*[f"17 {number}" for number in range(5)]),
            rules.ARCHITECTURE: lambda: setattr(self, "flags", KexecArch.X86_64 | FLAGS.ON_CRASH),
            rules.SEGMENT_TABLE: lambda: setattr(self, "readable", None),
            rules.LOCK: kernel.kexec_unlock,
            rules.CRASH_ENTRY: lambda: setattr(self, "entry", RESERVED),
            rules.SEGMENT_WRAPS: lambda: self.without("wraps"),
            rules.PAGE_ALIGNMENT: lambda: self.without("odd"),
            rules.DESTINATION_LIMIT: lambda: self.without("high"),
            rules.OVERLAP: lambda: self.without("twice"),
            rules.BUFFER_SIZE: lambda: self.without("buffer"),
            rules.HALF_OF_MEMORY: lambda: self.without("half"),
            rules.CRASH_RANGE: lambda: self.without("outside"),
            rules.CONTROL_PAGES: lambda: self.leave(code),
            rules.PAGE_TABLES: lambda: self.leave(code + tables),
            rules.VMCOREINFO: lambda: self.leave(code + tables + 1),
            rules.SOURCE_FAULT: lambda: self.without("fault"),
        }
        repairs[rule]()

    def leave(self, pages: int) -> None:
        """Leave so many pages of the reservation to the kernel, which begin at a multiple of 2 MiB."""
        hole = 2 * MIB
        self.segments["full"] = segment(RESERVED + hole + pages * PAGE_SIZE, CRASH - hole - pages * PAGE_SIZE)


CHECKS = [rules.CAP_SYS_BOOT, rules.LOAD_DISABLED, rules.LOAD_LIMIT, rules.LSM, rules.LOCKDOWN, rules.LEGAL_FLAGS]
CHECKS += [rules.SEGMENT_COUNT, rules.ARCHITECTURE]
SANITY = [rules.SEGMENT_WRAPS, rules.PAGE_ALIGNMENT, rules.DESTINATION_LIMIT, rules.OVERLAP, rules.BUFFER_SIZE]
SANITY += [rules.HALF_OF_MEMORY]
CRASH_SANITY = [*SANITY, rules.CRASH_RANGE]


@pytest.mark.parametrize(
    ("release", "order"),
    [
        ("7.2.0", [*CHECKS, rules.SEGMENT_TABLE, rules.LOCK, rules.CRASH_ENTRY, *CRASH_SANITY]),
        ("6.12.0", [*CHECKS, rules.SEGMENT_TABLE, rules.LOCK, rules.CRASH_ENTRY, *CRASH_SANITY]),
        (
            "6.1.0",
            [*CHECKS[:2], *CHECKS[3:], rules.SEGMENT_TABLE, rules.LOCK, rules.CRASH_ENTRY, *CRASH_SANITY],
        ),
        (
            "5.10.0",
            [*CHECKS[:2], *CHECKS[3:], rules.LOCK, rules.CRASH_ENTRY, rules.SEGMENT_TABLE, *CRASH_SANITY],
        ),
    ],
)
def test_the_first_broken_rule_counts(release: str, order: list[Rule]) -> None:
    order = [*order, rules.CONTROL_PAGES, rules.PAGE_TABLES, rules.VMCOREINFO, rules.SOURCE_FAULT]
    with new_kernel(128 * MIB, release=release, crashkernel=CRASH) as kernel:
        attempt = Attempt(kernel)
        for rule in order:
            with pytest.raises(KexecError) as raised:
                attempt.load()
            assert raised.value.rule == rule
            attempt.repair(rule)
        attempt.load()
        assert kernel.status().kexec_crash_loaded
        assert kernel.pages.allocated == held(kernel)


@pytest.mark.parametrize("order", [(ODD_START, HIGH, WRAPS), (HIGH, ODD_START, WRAPS), (WRAPS, HIGH, ODD_START)])
def test_address_rules_go_by_segments(order: tuple[Segment, ...]) -> None:
    with new_kernel() as kernel, pytest.raises(KexecError) as raised:
        kernel.kexec_load(request(*order))
    broken = {ODD_START: rules.PAGE_ALIGNMENT, HIGH: rules.DESTINATION_LIMIT, WRAPS: rules.SEGMENT_WRAPS}
    assert (raised.value.rule, raised.value.segment) == (broken[order[0]], 0)


def test_what_is_checked_is_told_in_order() -> None:
    told: list[Rule] = []
    with new_kernel(128 * MIB, crashkernel=CRASH) as kernel:
        observer = Told(passed=told.append)
        kernel.kexec_load(request(ONE), observer=observer)
        before = [*CHECKS, rules.SEGMENT_TABLE, rules.LOCK]
        loading = [rules.SOURCE_PAGES, rules.SOURCE_FAULT]
        assert told == [*before, *SANITY, rules.CONTROL_PAGES, rules.SWAP_PAGE, rules.PAGE_TABLES, *loading]
        told.clear()
        kernel.kexec_load(crash_request(CRASH_ONE), observer=observer)
        loading = [rules.PAGE_TABLES, rules.VMCOREINFO, *loading]
        assert told == [*before, rules.CRASH_ENTRY, *CRASH_SANITY, rules.CONTROL_PAGES, *loading]

"""kexec_load and its relatives: every refusal, in Linux's order, and what is left behind by it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, repeat

import pytest

from support.kernels import (
    CRASH,
    KIB,
    MIB,
    OLDEST_TO_NEWEST,
    More,
    alloc_frames,
    crash_request,
    held,
    image_bytes,
    new_kernel,
    pattern,
    request,
    segment,
)
from warmboot.kernel import (
    Caller,
    Ima,
    Kernel,
    KexecError,
    Lockdown,
    LockdownMode,
    Policy,
    Rule,
    Told,
    kexec,
    rules,
)
from warmboot.kernel.arch.x86_64.profile import x86_profile
from warmboot.uapi import (
    COMPAT_SEGMENT,
    PAGE_SIZE,
    SEGMENT,
    KexecArch,
    KexecFlags,
    LoadRequest,
    Segment,
    SegmentTable,
    Unreadable,
)

LOW = 16 * MIB  # where images go
RESERVED = 112 * MIB  # the crash reservation's start, on a machine of 128 MiB
RESERVED_LAST = RESERVED + CRASH - 1
MAXMEM = 1 << 46
ONE = segment(LOW, 4 * PAGE_SIZE, pattern(10_000))
CRASH_ONE = segment(RESERVED, 4 * PAGE_SIZE, pattern(10_000))
OLD = request(segment(32 * MIB, MIB, pattern(MIB, 7)))
OLD_CRASH = crash_request(segment(RESERVED + 8 * MIB, MIB, pattern(MIB, 8)))

Act = Callable[[Kernel], object]


def load(*segments: Segment, flags: int = 0) -> Act:
    """Load a normal image."""
    return lambda kernel: kernel.kexec_load(request(*segments, flags=flags))


def load_crash(*segments: Segment, entry: int | None = None) -> Act:
    """Load a crash image."""
    return lambda kernel: kernel.kexec_load(crash_request(*segments, entry=entry))


def compat(arguments: LoadRequest) -> Act:
    """Load by the 32-bit entry."""
    return lambda kernel: kernel.compat_kexec_load(arguments)


def sysctl(name: str, value: int) -> Act:
    """Write a sysctl."""
    return lambda kernel: kernel.write_sysctl(name, value)


def fails_after(pages: int) -> Act:
    """Memory runs out after so many pages."""

    def act(kernel: Kernel) -> None:
        kernel.pages.fail_after(pages)

    return act


def lock(kernel: Kernel) -> None:
    """Somebody else holds the lock."""
    assert kernel.kexec_trylock()


def lockdown(mode: LockdownMode) -> Act:
    """Lock the kernel down."""

    def act(kernel: Kernel) -> None:
        kernel.security.lockdown = Lockdown(mode)

    return act


def hook(function: Callable[[Caller], int]) -> Act:
    """A security module."""
    return lambda kernel: kernel.security.hooks.append(function)


def nothing(kernel: Kernel) -> None:
    """Nothing is prepared."""


@dataclass(frozen=True)
class Refusal:
    """One way to be refused; `loses_crash` says that an old crash image is gone by then."""

    name: str
    rule: Rule
    errno: int
    act: Act
    prepare: Act = nothing
    segment: int | None = None
    addresses: tuple[int, ...] | None = ()
    loses_crash: bool = False
    facts: More = field(default_factory=More)


NO_RIGHTS = Caller(cap_sys_boot=False)
KILLED = Caller(fatal_signal_pending=lambda: True)
FLAGS = KexecFlags
WRAPS = segment(-PAGE_SIZE % 2**64, 2 * PAGE_SIZE)
ODD_START = segment(LOW + 1, PAGE_SIZE)
ODD_END = segment(LOW, PAGE_SIZE + 1)
HIGH = segment(MAXMEM - PAGE_SIZE, PAGE_SIZE)
TWICE = (segment(LOW, 2 * PAGE_SIZE), segment(LOW + PAGE_SIZE, PAGE_SIZE))
LARGE_BUFFER = segment(LOW, PAGE_SIZE, bufsz=PAGE_SIZE + 1)
# 48 MiB, of 112 MiB of which half may be taken; two of them are too many
LARGE = (segment(LOW, 48 * MIB), segment(LOW + 48 * MIB, 48 * MIB))
HALF_OF_MEMORY = (111 * MIB + 0x9E000) // PAGE_SIZE // 2  # pages


def crash_pages_left(pages: int) -> Act:
    """Load a crash image that leaves so many pages of the reservation."""
    return load_crash(segment(RESERVED, CRASH - pages * PAGE_SIZE))


def shrunk(size: int) -> Act:
    """Shrink the reservation."""
    return lambda kernel: kernel.write_crash_size(size)


REFUSALS = [
    # kexec_load_check
    Refusal("cap", rules.CAP_SYS_BOOT, errno.EPERM, lambda kernel: kernel.kexec_load(OLD, NO_RIGHTS)),
    Refusal("cap compat", rules.CAP_SYS_BOOT, errno.EPERM, lambda kernel: kernel.compat_kexec_load(OLD, NO_RIGHTS)),
    Refusal("cap unload", rules.CAP_SYS_BOOT, errno.EPERM, lambda kernel: kernel.unload(caller=NO_RIGHTS)),
    Refusal("cap crash", rules.CAP_SYS_BOOT, errno.EPERM, lambda kernel: kernel.unload(crash=True, caller=NO_RIGHTS)),
    Refusal("disabled", rules.LOAD_DISABLED, errno.EPERM, load(ONE), prepare=sysctl("kernel.kexec_load_disabled", 1)),
    Refusal(
        "disabled unload",
        rules.LOAD_DISABLED,
        errno.EPERM,
        lambda kernel: kernel.unload(crash=True),
        prepare=sysctl("kernel.kexec_load_disabled", 1),
    ),
    Refusal(
        "limit reboot",
        rules.LOAD_LIMIT,
        errno.EPERM,
        load(ONE),
        prepare=sysctl("kernel.kexec_load_limit_reboot", 0),
    ),
    Refusal(
        "limit panic",
        rules.LOAD_LIMIT,
        errno.EPERM,
        load_crash(CRASH_ONE),
        prepare=sysctl("kernel.kexec_load_limit_panic", 0),
    ),
    Refusal("lsm", rules.LSM, errno.EACCES, load(ONE), prepare=hook(lambda _: errno.EACCES)),
    Refusal("lsm errno", rules.LSM, errno.EPERM, load_crash(CRASH_ONE), prepare=hook(lambda _: errno.EPERM)),
    Refusal("ima appraise", rules.LSM, errno.EACCES, load(ONE), prepare=hook(Ima(appraise_kexec=True))),
    Refusal("ima secure boot", rules.LSM, errno.EACCES, load(ONE), prepare=hook(Ima(secure_boot=True))),
    Refusal("integrity", rules.LOCKDOWN, errno.EPERM, load(ONE), prepare=lockdown(LockdownMode.INTEGRITY)),
    Refusal(
        "confidentiality",
        rules.LOCKDOWN,
        errno.EPERM,
        load_crash(CRASH_ONE),
        prepare=lockdown(LockdownMode.CONFIDENTIALITY),
    ),
    Refusal(
        "lockdown fact",
        rules.LOCKDOWN,
        errno.EPERM,
        load(ONE),
        prepare=lambda kernel: lockdown(LockdownMode(kernel.facts.lockdown_mode))(kernel),
        facts={"lockdown": "none [integrity] confidentiality"},
    ),
    Refusal("flag", rules.LEGAL_FLAGS, errno.EINVAL, load(ONE, flags=0x10), addresses=(KexecArch.X86_64 | 0x10, 0xD)),
    Refusal(
        "preserve_context",
        rules.LEGAL_FLAGS,
        errno.EINVAL,
        load(ONE, flags=FLAGS.PRESERVE_CONTEXT),
        addresses=(KexecArch.X86_64 | 0x2, 0xD),
    ),
    Refusal(
        "17 segments",
        rules.SEGMENT_COUNT,
        errno.EINVAL,
        load(*[segment(LOW + number * PAGE_SIZE, PAGE_SIZE) for number in range(17)]),
        addresses=(17, 16),
    ),
    # the two entries
    Refusal(
        "i386",
        rules.ARCHITECTURE,
        errno.EINVAL,
        lambda kernel: kernel.kexec_load(LoadRequest(LOW, (ONE,), KexecArch.I386)),
        addresses=(KexecArch.I386, KexecArch.X86_64),
    ),
    Refusal(
        "no architecture's number",
        rules.ARCHITECTURE,
        errno.EINVAL,
        lambda kernel: kernel.kexec_load(LoadRequest(LOW, (ONE,), 0x1234_0000)),
        addresses=(0x1234_0000, KexecArch.X86_64),
    ),
    Refusal(
        "compat default",
        rules.ARCHITECTURE,
        errno.EINVAL,
        compat(LoadRequest(LOW, (ONE,), KexecArch.DEFAULT)),
        addresses=(KexecArch.DEFAULT, KexecArch.X86_64),
    ),
    Refusal(
        "segment table",
        rules.SEGMENT_TABLE,
        errno.EFAULT,
        lambda kernel: kexec.kexec_load(kernel, LOW, 2, SegmentTable([ONE], 63), KexecArch.X86_64, Caller()),
        addresses=(63, 64),
    ),
    # do_kexec_load
    Refusal("lock", rules.LOCK, errno.EBUSY, load(ONE), prepare=lock),
    Refusal("lock crash", rules.LOCK, errno.EBUSY, load_crash(CRASH_ONE), prepare=lock),
    Refusal("lock unload", rules.LOCK, errno.EBUSY, lambda kernel: kernel.unload(), prepare=lock),
    Refusal("lock reboot", rules.LOCK, errno.EBUSY, lambda kernel: kernel.reboot(), prepare=lock),
    Refusal("lock size", rules.LOCK, errno.EBUSY, lambda kernel: kernel.read_crash_size(), prepare=lock),
    Refusal("lock shrink", rules.LOCK, errno.EBUSY, shrunk(0), prepare=lock),
    Refusal(
        "crash entry below",
        rules.CRASH_ENTRY,
        errno.EADDRNOTAVAIL,
        load_crash(CRASH_ONE, entry=RESERVED - 1),
        addresses=(RESERVED - 1, RESERVED, RESERVED_LAST),
        loses_crash=True,
    ),
    Refusal(
        "crash entry above",
        rules.CRASH_ENTRY,
        errno.EADDRNOTAVAIL,
        load_crash(CRASH_ONE, entry=RESERVED_LAST + 1),
        addresses=(RESERVED_LAST + 1, RESERVED, RESERVED_LAST),
        loses_crash=True,
    ),
    Refusal(
        "no reservation",
        rules.CRASH_ENTRY,
        errno.EADDRNOTAVAIL,
        load_crash(CRASH_ONE),
        addresses=(RESERVED, 0, 0),
        facts={"crashkernel": 0},
    ),
    Refusal(
        "no reservation, entry 0",
        rules.CRASH_RANGE,
        errno.EADDRNOTAVAIL,
        load_crash(segment(0, PAGE_SIZE)),
        segment=0,
        addresses=(0, PAGE_SIZE, 0, 0),
        facts={"crashkernel": 0},
    ),
    # sanity_check_segment_list
    Refusal(
        "wraps",
        rules.SEGMENT_WRAPS,
        errno.EADDRNOTAVAIL,
        load(ONE, WRAPS),
        segment=1,
        addresses=(WRAPS.mem, WRAPS.memsz),
    ),
    Refusal(
        "wraps to 0",
        rules.SEGMENT_WRAPS,
        errno.EADDRNOTAVAIL,
        load(segment(2**64 - PAGE_SIZE, PAGE_SIZE)),
        segment=0,
        addresses=(2**64 - PAGE_SIZE, PAGE_SIZE),
    ),
    Refusal(
        "odd start",
        rules.PAGE_ALIGNMENT,
        errno.EADDRNOTAVAIL,
        load(ODD_START),
        segment=0,
        addresses=(LOW + 1, PAGE_SIZE),
    ),
    Refusal(
        "odd end",
        rules.PAGE_ALIGNMENT,
        errno.EADDRNOTAVAIL,
        load(segment(32 * MIB, 0), ODD_END),
        segment=1,
        addresses=(LOW, PAGE_SIZE + 1),
    ),
    Refusal(
        "limit",
        rules.DESTINATION_LIMIT,
        errno.EADDRNOTAVAIL,
        load(HIGH),
        segment=0,
        addresses=(HIGH.mem, PAGE_SIZE),
    ),
    Refusal(
        "limit la57",
        rules.DESTINATION_LIMIT,
        errno.EADDRNOTAVAIL,
        load(segment(2**52 - PAGE_SIZE, PAGE_SIZE)),
        segment=0,
        addresses=(2**52 - PAGE_SIZE, PAGE_SIZE),
        facts={"la57": True},
    ),
    Refusal("overlap", rules.OVERLAP, errno.EINVAL, load(*TWICE), segment=1, addresses=(LOW + PAGE_SIZE, LOW)),
    Refusal(
        "overlap of the third",
        rules.OVERLAP,
        errno.EINVAL,
        load(segment(MIB, PAGE_SIZE), *TWICE[::-1]),
        segment=2,
        addresses=(LOW, LOW + PAGE_SIZE),
    ),
    Refusal(
        "overlap of nothing",
        rules.OVERLAP,
        errno.EINVAL,
        load(segment(LOW, 2 * PAGE_SIZE), segment(LOW + PAGE_SIZE, 0)),
        segment=1,
        addresses=(LOW + PAGE_SIZE, LOW),
    ),
    Refusal(
        "bufsz",
        rules.BUFFER_SIZE,
        errno.EINVAL,
        load(segment(MIB, PAGE_SIZE), LARGE_BUFFER),
        segment=1,
        addresses=(PAGE_SIZE + 1, PAGE_SIZE),
    ),
    Refusal(
        "half for one",
        rules.HALF_OF_MEMORY,
        errno.EINVAL,
        load(ONE, segment(32 * MIB, 64 * MIB)),
        segment=1,
        addresses=(64 * MIB // PAGE_SIZE, HALF_OF_MEMORY),
    ),
    Refusal(
        "half in all",
        rules.HALF_OF_MEMORY,
        errno.EINVAL,
        load(*LARGE),
        addresses=(96 * MIB // PAGE_SIZE, HALF_OF_MEMORY),
    ),
    Refusal(
        "crash range below",
        rules.CRASH_RANGE,
        errno.EADDRNOTAVAIL,
        load_crash(CRASH_ONE, segment(RESERVED - PAGE_SIZE, PAGE_SIZE)),
        segment=1,
        addresses=(RESERVED - PAGE_SIZE, RESERVED, RESERVED, RESERVED_LAST),
        loses_crash=True,
    ),
    Refusal(
        "crash range above",
        rules.CRASH_RANGE,
        errno.EADDRNOTAVAIL,
        load_crash(segment(RESERVED_LAST + 1 - PAGE_SIZE, 2 * PAGE_SIZE)),
        segment=0,
        addresses=(RESERVED_LAST + 1 - PAGE_SIZE, RESERVED_LAST + 1 + PAGE_SIZE, RESERVED, RESERVED_LAST),
        loses_crash=True,
    ),
    # memory runs out; 6.11 takes two control pages, then the swap page, then page tables
    Refusal("control pages", rules.CONTROL_PAGES, errno.ENOMEM, load(ONE), prepare=fails_after(1)),
    Refusal("swap page", rules.SWAP_PAGE, errno.ENOMEM, load(ONE), prepare=fails_after(2)),
    Refusal("page tables", rules.PAGE_TABLES, errno.ENOMEM, load(ONE), prepare=fails_after(3)),
    Refusal("page tables of the code", rules.PAGE_TABLES, errno.ENOMEM, load(ONE), prepare=fails_after(5)),
    Refusal(
        "crash page tables of the code",
        rules.PAGE_TABLES,
        errno.ENOMEM,
        load_crash(CRASH_ONE),
        prepare=fails_after(0),
        loses_crash=True,
    ),
    Refusal("no crash control pages", rules.CONTROL_PAGES, errno.ENOMEM, crash_pages_left(1), loses_crash=True),
    Refusal("no crash page tables", rules.PAGE_TABLES, errno.ENOMEM, crash_pages_left(2), loses_crash=True),
    Refusal("few crash page tables", rules.PAGE_TABLES, errno.ENOMEM, crash_pages_left(3), loses_crash=True),
    Refusal("vmcoreinfo", rules.VMCOREINFO, errno.ENOMEM, crash_pages_left(4), loses_crash=True),
    Refusal(
        "indirection page",
        rules.SOURCE_PAGES,
        errno.ENOMEM,
        load(ONE),
        prepare=fails_after(8),
        segment=0,
        addresses=(0, 4),
    ),
    Refusal(
        "source pages",
        rules.SOURCE_PAGES,
        errno.ENOMEM,
        load(segment(MIB, 0), ONE),
        prepare=fails_after(11),
        segment=1,
        addresses=(2, 4),
    ),
    Refusal(
        "killed",
        rules.CONTROL_PAGES,
        errno.ENOMEM,
        lambda kernel: kernel.kexec_load(request(ONE), KILLED),
    ),
    # sources that fault
    Refusal(
        "fault",
        rules.SOURCE_FAULT,
        errno.EFAULT,
        load(ONE, segment(32 * MIB, PAGE_SIZE, Unreadable(), bufsz=1)),
        segment=1,
        addresses=(0, 1),
    ),
    Refusal(
        "crash fault",
        rules.SOURCE_FAULT,
        errno.EFAULT,
        load_crash(CRASH_ONE, segment(RESERVED + MIB, MIB, pattern(9000), missing=1)),
        segment=1,
        addresses=(9000, 9001),
        loses_crash=True,
    ),
    # starting, shrinking, sysctls
    Refusal(
        "reboot",
        rules.NOTHING_LOADED,
        errno.EINVAL,
        lambda kernel: kernel.reboot(),
        prepare=lambda kernel: kernel.unload(),
    ),
    Refusal("shrink loaded", rules.CRASH_IMAGE_LOADED, errno.ENOENT, shrunk(0)),
    Refusal(
        "grow",
        rules.CRASH_SIZE,
        errno.EINVAL,
        shrunk(CRASH + 1),
        prepare=lambda kernel: kernel.unload(crash=True),
        addresses=(CRASH + PAGE_SIZE, CRASH),
    ),
    Refusal(
        "shrink text",
        rules.CRASH_SIZE_TEXT,
        errno.EINVAL,
        lambda kernel: kernel.store_crash_size("16M"),
    ),
    Refusal(
        "sysctl enable",
        rules.SYSCTL_VALUE,
        errno.EINVAL,
        sysctl("kernel.kexec_load_disabled", 0),
        prepare=sysctl("kernel.kexec_load_disabled", 1),
        addresses=(0,),
    ),
    Refusal(
        "sysctl negative",
        rules.SYSCTL_VALUE,
        errno.EINVAL,
        sysctl("kernel.kexec_load_limit_panic", -1),
        addresses=(-1, -1),
    ),
    Refusal(
        "sysctl not less",
        rules.SYSCTL_VALUE,
        errno.EINVAL,
        sysctl("kernel.kexec_load_limit_reboot", 3),
        prepare=sysctl("kernel.kexec_load_limit_reboot", 3),
        addresses=(3, 3),
    ),
    Refusal("sysctl name", rules.SYSCTL_NAME, errno.ENOENT, sysctl("kernel.kexec_load_limit", 1)),
    Refusal(
        "sysctl before 6.3",
        rules.SYSCTL_NAME,
        errno.ENOENT,
        sysctl("kernel.kexec_load_limit_panic", 1),
        facts={"release": "6.2.0"},
    ),
]


def test_every_rule_has_a_refusal() -> None:
    elsewhere = {*rules.CALL_RULES, *rules.FILE_RULES}  # test_missing_calls, test_kexec_file
    every = {each.name for each in vars(rules).values() if isinstance(each, Rule) and each not in elsewhere}
    assert every == {each.rule.name for each in REFUSALS}


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_refusal(refusal: Refusal) -> None:
    with new_kernel(128 * MIB, **More(release="6.11.0", crashkernel=CRASH) | refusal.facts) as kernel:
        locked_down, kernel.security.lockdown = kernel.security.lockdown, Lockdown()
        kernel.kexec_load(OLD)
        if kernel.crash.size:
            kernel.kexec_load(OLD_CRASH)
        kernel.security.lockdown = locked_down
        refusal.prepare(kernel)
        image, crash_image = kernel.kexec_image, kernel.kexec_crash_image
        before = image_bytes(kernel.memory, image) if image else {}

        with pytest.raises(KexecError) as raised:
            refusal.act(kernel)

        error = raised.value
        assert (error.rule, error.errno) == (refusal.rule, refusal.errno)
        assert error.errno_name == errno.errorcode[refusal.errno]
        assert (error.segment, error.addresses) == (refusal.segment, refusal.addresses)
        assert error.hint in (refusal.rule.hint, rules.CRASH_ROOM if refusal.loses_crash else "")
        assert error.hint
        assert str(error)
        assert kernel.kexec_image is image
        assert kernel.kexec_crash_image is (None if refusal.loses_crash else crash_image)
        assert kernel.crash.protected is (kernel.kexec_crash_image is not None)
        assert kernel.pages.allocated == held(kernel)
        assert (image_bytes(kernel.memory, image) if image else {}) == before
        assert kernel.kexec_trylock() is (refusal.rule is not rules.LOCK)


def test_unloading_frees_everything() -> None:
    with new_kernel(128 * MIB, crashkernel=CRASH) as kernel:
        kernel.kexec_load(OLD)
        kernel.kexec_load(OLD_CRASH)
        assert (kernel.status().kexec_loaded, kernel.status().kexec_crash_loaded) == (True, True)
        kernel.unload()
        assert kernel.kexec_image is None
        assert kernel.kexec_crash_image is not None
        assert kernel.pages.allocated == held(kernel)
        kernel.unload(crash=True)
        kernel.unload(crash=True)  # nothing loaded is no error
        assert (kernel.status().kexec_loaded, kernel.status().kexec_crash_loaded) == (False, False)
        assert kernel.pages.allocated == 0


def test_a_new_image_replaces_the_old_one() -> None:
    with new_kernel() as kernel:
        kernel.kexec_load(OLD)
        old = kernel.kexec_image
        kernel.kexec_load(request(ONE))
        assert kernel.kexec_image is not old
        assert kernel.pages.allocated == held(kernel)


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


# ---- who may load


def test_limits_are_counted_down_by_every_load() -> None:
    with new_kernel(128 * MIB, crashkernel=CRASH) as kernel:
        kernel.write_sysctl("kernel.kexec_load_limit_reboot", 3)
        kernel.write_sysctl("kernel.kexec_load_limit_panic", 1)
        kernel.kexec_load(request(ONE))
        with pytest.raises(KexecError, match="not made of whole pages"):
            kernel.kexec_load(request(ODD_START))  # uses one up all the same
        assert (kernel.kexec_load_limit_reboot, kernel.kexec_load_limit_panic) == (1, 1)
        kernel.unload()  # so does this
        with pytest.raises(KexecError, match="kexec_load_limit_reboot is 0"):
            kernel.kexec_load(request(ONE))
        kernel.kexec_load(crash_request(CRASH_ONE))
        with pytest.raises(KexecError, match="kexec_load_limit_panic is 0"):
            kernel.unload(crash=True)


def test_no_limit_before_the_right_to_load() -> None:
    with new_kernel(kexec_load_limit_reboot=2) as kernel:
        with pytest.raises(KexecError, match="CAP_SYS_BOOT"):
            kernel.kexec_load(request(ONE), NO_RIGHTS)
        assert kernel.kexec_load_limit_reboot == 2


def test_limits_came_with_6_3() -> None:
    with new_kernel(release="6.2.16", kexec_load_limit_reboot=0) as kernel:
        kernel.kexec_load(request(ONE))
        assert kernel.kexec_load_limit_reboot == 0


def test_a_limit_can_only_become_less() -> None:
    with new_kernel() as kernel:
        for value in (5, 4, 0):
            kernel.write_sysctl("kernel.kexec_load_limit_panic", value)
        assert kernel.kexec_load_limit_panic == 0


def test_hooks_that_allow() -> None:
    with new_kernel() as kernel:
        kernel.security.hooks += [lambda _: 0, Ima()]
        kernel.kexec_load(request(ONE))


# ---- flags and architectures

C, J, U, H = FLAGS.ON_CRASH, FLAGS.PRESERVE_CONTEXT, FLAGS.UPDATE_ELFCOREHDR, FLAGS.CRASH_HOTPLUG_SUPPORT


@pytest.mark.parametrize("jump", [False, True])
@pytest.mark.parametrize(
    ("release", "legal"),
    [
        ("5.10.0", C),
        ("6.1.0", C),
        ("6.5.0", C),
        ("6.6.0", C | U),
        ("6.9.0", C | U),
        ("6.10.0", C | U | H),
        ("6.12.0", C | U | H),
        ("7.2.0", C | U | H),
    ],
)
def test_legal_flags(release: str, legal: int, jump: bool) -> None:
    legal |= J if jump else 0
    with new_kernel(release=release, kexec_jump=jump) as kernel:
        for bit in range(64):
            flags = 1 << bit
            if 16 <= bit < 32:
                continue  # the architecture
            result = kernel.sys_kexec_load(0, 0, SegmentTable(()), KexecArch.X86_64 | flags)
            # What is above 32 bits is not looked at: the mask is an unsigned int.
            assert result == (0 if bit >= 32 or flags & legal else -errno.EINVAL), f"{flags:#x}"


def test_flags_are_kept_in_the_image() -> None:
    with new_kernel(128 * MIB, crashkernel=CRASH, kexec_jump=True) as kernel:
        kernel.kexec_load(request(ONE, flags=J | U))
        assert kernel.kexec_image is not None
        assert kernel.kexec_image.preserve_context
        assert not kernel.kexec_image.hotplug_support  # of crash images only
        kernel.kexec_load(request(CRASH_ONE, flags=C | H))
        assert kernel.kexec_crash_image is not None
        assert kernel.kexec_crash_image.hotplug_support
        assert not kernel.kexec_crash_image.preserve_context


@pytest.mark.parametrize("architecture", list(KexecArch))
def test_architectures(architecture: KexecArch) -> None:
    with new_kernel() as kernel:
        native = kernel.sys_kexec_load(0, 0, SegmentTable(()), architecture)
        assert native == (0 if architecture in (KexecArch.X86_64, KexecArch.DEFAULT) else -errno.EINVAL)
        compat = kernel.sys_kexec_load(0, 0, SegmentTable(()), architecture, compat=True)
        assert compat == (-errno.EINVAL if architecture is KexecArch.DEFAULT else 0)


def test_the_32_bit_entry_cuts_numbers() -> None:
    above = 7 << 32
    cut = segment(above + LOW, above + 4 * PAGE_SIZE, pattern(PAGE_SIZE), bufsz=above + PAGE_SIZE)
    with new_kernel() as kernel:
        table = SegmentTable([cut])
        result = kernel.sys_kexec_load(above + LOW, above + 1, table, above + KexecArch.I386, compat=True)
        assert result == 0
        assert kernel.kexec_image is not None
        assert kernel.kexec_image.start == LOW
        assert image_bytes(kernel.memory, kernel.kexec_image)[LOW] == pattern(PAGE_SIZE)
        assert len(image_bytes(kernel.memory, kernel.kexec_image)) == 4
        assert kernel.sys_kexec_load(LOW, above + 1, table, KexecArch.X86_64) == -errno.EINVAL


# ---- the segment table


@pytest.mark.parametrize("release", OLDEST_TO_NEWEST)
@pytest.mark.parametrize("compat", [False, True])
def test_a_table_that_faults(release: str, compat: bool) -> None:
    size = COMPAT_SEGMENT.size if compat else SEGMENT.size
    with new_kernel(128 * MIB, release=release, crashkernel=CRASH) as kernel:
        kernel.kexec_load(OLD)
        kernel.kexec_load(OLD_CRASH)

        def call(readable: int, flags: int = KexecArch.X86_64 | C) -> int:
            table = SegmentTable([CRASH_ONE], readable)
            return kernel.sys_kexec_load(RESERVED, 1, table, flags, compat=compat)

        # Since 5.15 the compat entry returns the bytes that it could not read, not an errno.
        fault = 3 if compat and release != "5.10.0" else -errno.EFAULT
        late = release == "5.10.0" and not compat  # read under the lock, behind the freeing of the old crash image
        assert kernel.kexec_trylock()
        assert call(size - 3) == (-errno.EBUSY if late else fault)
        kernel.kexec_unlock()
        assert call(size - 3, KexecArch.X86_64) == fault
        assert kernel.status().kexec_loaded
        assert call(size - 3) == fault
        assert kernel.status().kexec_crash_loaded is not late
        assert kernel.pages.allocated == held(kernel)
        assert call(size) == 0
        # Without segments nothing is read.
        assert kernel.sys_kexec_load(0, 0, SegmentTable((), 0), KexecArch.X86_64 | C, compat=compat) == 0


def test_a_table_shorter_than_the_count_goes_on_with_zeros() -> None:
    with new_kernel(release="6.1.0") as kernel:
        assert kernel.sys_kexec_load(LOW, 3, SegmentTable([ONE]), KexecArch.X86_64) == 0
        assert kernel.kexec_image is not None
        assert [each.memsz for each in kernel.kexec_image.segment] == [4 * PAGE_SIZE, 0, 0]


# ---- limits that just hold


@pytest.mark.parametrize("release", OLDEST_TO_NEWEST)
def test_what_is_just_allowed(release: str) -> None:
    with new_kernel(128 * MIB, release=release, crashkernel=CRASH) as kernel:
        half = kernel.totalram_pages // 2 * PAGE_SIZE
        kernel.kexec_load(request(segment(LOW, half)))
        kernel.kexec_load(request(segment(MAXMEM - 2 * PAGE_SIZE, PAGE_SIZE)))
        kernel.kexec_load(request(*[segment(LOW + number * PAGE_SIZE, PAGE_SIZE) for number in range(16)]))
        kernel.kexec_load(request(segment(LOW, PAGE_SIZE), segment(LOW + PAGE_SIZE, PAGE_SIZE)))
        kernel.kexec_load(crash_request(CRASH_ONE, segment(RESERVED_LAST + 1 - PAGE_SIZE, PAGE_SIZE)))
        kernel.kexec_load(crash_request(CRASH_ONE, entry=RESERVED_LAST))
        assert kernel.pages.allocated == held(kernel)


# ---- memory that runs out


# More than one indirection page long; most of it goes where no RAM is, which is as good a destination as any.
BIG = request(
    segment(1 << 30, 520 * PAGE_SIZE, pattern(520 * PAGE_SIZE)),
    segment(LOW, 8 * PAGE_SIZE, pattern(7 * PAGE_SIZE + 1)),
    segment(MIB, 3 * PAGE_SIZE, b"x"),
)
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


# ---- reboot and crash


@pytest.mark.parametrize("release", OLDEST_TO_NEWEST)
def test_reboot_enters_the_relocation_code(release: str) -> None:
    with new_kernel(128 * MIB, release=release, crashkernel=CRASH) as kernel:
        kernel.kexec_load(request(ONE, entry=LOW + 0x123))
        image = kernel.kexec_image
        assert image is not None
        assert image.swap_page is not None
        state = kernel.reboot()
        code = image.control_code_page + int(x86_profile(kernel.profile).pgd_in_control_code)
        assert (state.rip, state.cr3) == (code * PAGE_SIZE, image.pgd * PAGE_SIZE)
        assert (state.rdi, state.rsi, state.rdx) == (image.head, image.pgd * PAGE_SIZE, LOW + 0x123)
        assert (state.rcx, state.r8) == (image.swap_page * PAGE_SIZE, 2 * x86_profile(kernel.profile).leaves_gdt)
        assert code * PAGE_SIZE < state.rsp < (code + 1) * PAGE_SIZE
        assert kernel.kexec_trylock()


def test_crash_without_an_image_and_while_busy() -> None:
    with new_kernel(128 * MIB, crashkernel=CRASH) as kernel:
        assert kernel.crash_kexec() is None
        kernel.kexec_load(crash_request(CRASH_ONE))
        lock(kernel)
        assert kernel.crash_kexec() is None
        kernel.kexec_unlock()
        state = kernel.crash_kexec()
        assert state is not None
        assert (state.rdx, state.rcx) == (RESERVED, 0)
        assert RESERVED <= state.rip <= RESERVED_LAST
        assert RESERVED <= state.cr3 <= RESERVED_LAST


def test_progress_adds_up_to_the_image() -> None:
    with new_kernel(128 * MIB, crashkernel=CRASH) as kernel:
        done: list[int] = []
        observer = Told(progress=done.append)
        kernel.kexec_load(BIG, observer=observer)
        assert sum(done) == BIG.memsz
        done.clear()
        crash = crash_request(segment(RESERVED, 12 * MIB, pattern(64 * KIB)), CRASH_ONE_HIGH)
        kernel.kexec_load(crash, observer=observer)
        assert sum(done) == 12 * MIB + CRASH_ONE_HIGH.memsz


CRASH_ONE_HIGH = segment(RESERVED + 13 * MIB, 4 * PAGE_SIZE, pattern(10_000))

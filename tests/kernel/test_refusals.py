"""Every refusal of kexec_load and its relatives, and what is left behind by it."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

import pytest

from support.kernels import (
    CRASH,
    MIB,
    More,
    held,
    image_bytes,
    new_kernel,
    pattern,
    request,
    segment,
)
from support.kexec_calls import (
    CRASH_ONE,
    FLAGS,
    HALF_OF_MEMORY,
    HIGH,
    KILLED,
    LARGE,
    LARGE_BUFFER,
    LOW,
    NO_RIGHTS,
    ODD_END,
    ODD_START,
    OLD,
    OLD_CRASH,
    ONE,
    RESERVED,
    RESERVED_LAST,
    TWICE,
    WRAPS,
    Act,
    compat,
    crash_pages_left,
    fails_after,
    hook,
    load,
    load_crash,
    lock,
    lockdown,
    nothing,
    shrunk,
    sysctl,
)
from warmboot.kernel import (
    Caller,
    Ima,
    KexecError,
    Lockdown,
    LockdownMode,
    Rule,
    kexec,
    rules,
)
from warmboot.uapi import (
    PAGE_SIZE,
    KexecArch,
    LoadRequest,
    SegmentTable,
    Unreadable,
)


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

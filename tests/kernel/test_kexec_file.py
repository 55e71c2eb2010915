"""The model's kexec_file_load: every rule refuses with its errno, in Linux's order, and what is sound passes."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace

import pytest

from support.kernels import MIB, facts_of, new_kernel
from warmboot.debian import kernel as debian_kernel
from warmboot.images import map_file
from warmboot.kernel import Caller, Kernel, KexecError, Lockdown, LockdownMode, Rule
from warmboot.kernel import kexec_file as rules
from warmboot.kernel.kexec_file import kexec_file_load_check
from warmboot.kernel.permit import permit
from warmboot.kernel.rules import CAP_SYS_BOOT, HALF_OF_MEMORY, LOAD_DISABLED, LOAD_LIMIT, LOCK
from warmboot.machines.machine import Machine
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.uapi import KexecFileFlags, KexecFileRequest

GOOD = KexecFileRequest(memoryview(demo_kernel()), 0, b"quiet\0", KexecFileFlags.NO_INITRAMFS)


def patched(offset: int, value: bytes) -> KexecFileRequest:
    """The demo kernel with other bytes at an offset."""
    data = bytearray(GOOD.kernel)
    data[offset : offset + len(value)] = value
    return GOOD._replace(kernel=memoryview(bytes(data)))


def nothing(kernel: Kernel) -> None:
    """Leave the kernel as it is."""


def locked_down(kernel: Kernel) -> None:
    kernel.security.lockdown = Lockdown(LockdownMode.INTEGRITY)


def disabled(kernel: Kernel) -> None:
    kernel.write_sysctl("kernel.kexec_load_disabled", 1)


def used_up(kernel: Kernel) -> None:
    kernel.write_sysctl("kernel.kexec_load_limit_reboot", 0)


def busy(kernel: Kernel) -> None:
    assert kernel.kexec_trylock()


BROKEN: list[tuple[str, Rule, int, KexecFileRequest, Callable[[Kernel], None]]] = [
    ("disabled", LOAD_DISABLED, errno.EPERM, GOOD, disabled),
    ("limit", LOAD_LIMIT, errno.EPERM, GOOD, used_up),
    ("flag", rules.FLAGS, errno.EINVAL, GOOD._replace(flags=0x80), nothing),
    ("busy", LOCK, errno.EBUSY, GOOD, busy),
    ("short", rules.IMAGE, errno.ENOEXEC, GOOD._replace(kernel=GOOD.kernel[:1000]), nothing),
    ("no HdrS", rules.IMAGE, errno.ENOEXEC, patched(0x202, b"HdrX"), nothing),
    ("no boot sector", rules.IMAGE, errno.ENOEXEC, patched(0x1FE, b"\0\0"), nothing),
    ("old protocol", rules.IMAGE, errno.ENOEXEC, patched(0x206, b"\x0b\x02"), nothing),
    ("zImage", rules.IMAGE, errno.ENOEXEC, patched(0x211, b"\0"), nothing),
    ("32-bit", rules.IMAGE, errno.ENOEXEC, patched(0x236, b"\x02\0"), nothing),
    ("below 4 GiB", rules.IMAGE, errno.ENOEXEC, patched(0x236, b"\x01\0"), nothing),
    ("unsigned", rules.SIGNATURE, errno.EPERM, GOOD, locked_down),
    ("open command line", rules.COMMAND_LINE_END, errno.EINVAL, GOOD._replace(command_line=b"quiet"), nothing),
    ("cut", rules.TRUNCATED, errno.EINVAL, patched(0x1F1, b"\xff")._replace(flags=4), nothing),
    ("long command line", rules.COMMAND_LINE, errno.EINVAL, GOOD._replace(command_line=bytes(2048)), nothing),
    ("no room", rules.HOLE, errno.EADDRNOTAVAIL, GOOD._replace(initrd_size=1 << 30, flags=0), nothing),
    ("no reservation", rules.HOLE, errno.EADDRNOTAVAIL, GOOD._replace(flags=6), nothing),
    ("half", HALF_OF_MEMORY, errno.EINVAL, GOOD._replace(initrd_size=300 * MIB, flags=0), nothing),
]


@pytest.mark.parametrize(
    ("rule", "number", "request_", "prepare"), [row[1:] for row in BROKEN], ids=[r[0] for r in BROKEN]
)
def test_refusal(rule: Rule, number: int, request_: KexecFileRequest, prepare: Callable[[Kernel], None]) -> None:
    with new_kernel(512 * MIB) as kernel:
        prepare(kernel)
        with pytest.raises(KexecError) as raised:
            permit(kernel, request_)
        assert (raised.value.rule, raised.value.errno) == (rule, number)
        assert kernel.kexec_image is None


def test_every_rule_of_the_file_call_has_a_row() -> None:
    assert {rule for _, rule, *_ in BROKEN} >= set(rules.FILE_RULES)


def test_what_is_sound_passes_and_the_checks_are_told_in_order() -> None:
    told: list[Rule] = []
    with new_kernel(512 * MIB) as kernel:
        kernel.on_check = told.append
        permit(kernel, GOOD)
    own = [rule for rule in told if rule in rules.FILE_RULES]
    assert own == [
        *(rules.FLAGS, rules.IMAGE, rules.SIGNATURE, rules.COMMAND_LINE_END),
        *(rules.TRUNCATED, rules.COMMAND_LINE, rules.HOLE),
    ]


def test_a_caller_without_the_right() -> None:
    with new_kernel() as kernel, pytest.raises(KexecError) as raised:
        permit(kernel, GOOD, Caller(cap_sys_boot=False))
    assert raised.value.rule == CAP_SYS_BOOT


def test_forced_signatures() -> None:
    """CONFIG_KEXEC_SIG_FORCE: ENODATA for an unsigned file; whose a signature is, the model does not know."""
    with new_kernel(512 * MIB) as kernel, pytest.raises(KexecError) as raised:
        kexec_file_load_check(kernel, GOOD, Caller(), sig_enforce=True)
    assert raised.value.errno == errno.ENODATA
    signed = GOOD._replace(kernel=map_file(debian_kernel("6.12")))
    with new_kernel(512 * MIB) as kernel:
        kexec_file_load_check(kernel, signed, Caller(), sig_enforce=True)


@pytest.mark.parametrize(
    ("release", "flag", "legal"),
    [
        ("6.7.0", KexecFileFlags.DEBUG, False),
        ("6.8.0", KexecFileFlags.DEBUG, True),
        ("6.16.0", KexecFileFlags.NO_CMA, False),
        ("6.17.0", KexecFileFlags.NO_CMA, True),
        ("6.17.0", KexecFileFlags.FORCE_DTB, False),
        ("6.18.0", KexecFileFlags.FORCE_DTB, True),
    ],
)
def test_flags_by_release(release: str, flag: KexecFileFlags, legal: bool) -> None:
    with new_kernel(512 * MIB, release=release) as kernel:
        asked = GOOD._replace(flags=int(flag | KexecFileFlags.NO_INITRAMFS))
        if legal:
            permit(kernel, asked)
            return
        with pytest.raises(KexecError) as raised:
            permit(kernel, asked)
        assert raised.value.rule == rules.FLAGS


def test_a_crash_kernel_keeps_room_for_its_headers_in_the_command_line() -> None:
    facts = facts_of(512 * MIB, crashkernel=128 * MIB)
    with Machine(replace(facts)) as machine:
        asked = GOOD._replace(command_line=bytes(2047 - 30), flags=6)
        permit(machine.kernel, asked)
        with pytest.raises(KexecError) as raised:
            permit(machine.kernel, asked._replace(command_line=bytes(2047 - 29)))
        assert raised.value.rule == rules.COMMAND_LINE

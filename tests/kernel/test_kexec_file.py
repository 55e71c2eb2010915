"""The model's kexec_file_load: every rule refuses with its errno, in Linux's order, and what is sound passes."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace

import pytest

from support.kernels import MIB, facts_of, new_kernel
from warmboot.debian import kernel as debian_kernel
from warmboot.images import map_file
from warmboot.kernel import Caller, Kernel, KexecError, Lockdown, LockdownMode, Rule, Told, rules
from warmboot.kernel.permit import permit
from warmboot.machines.machine import Machine
from warmboot.memmap import Facts
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.uapi import FileFacts, KexecFileFlags, KexecFileRequest

GOOD = KexecFileRequest(memoryview(demo_kernel()), 0, b"quiet\0", KexecFileFlags.NO_INITRAMFS)


def patched(offset: int, value: bytes) -> KexecFileRequest:
    """The demo kernel with other bytes at an offset."""
    data = bytearray(GOOD.kernel)
    data[offset : offset + len(value)] = value
    return GOOD._replace(kernel=memoryview(bytes(data)))


def given(file: FileFacts, kernel: bytes | None = None) -> KexecFileRequest:
    """The demo kernel, or other bytes, as a file like that."""
    return GOOD._replace(kernel_file=file, kernel=GOOD.kernel if kernel is None else memoryview(kernel))


def initrd(file: FileFacts) -> KexecFileRequest:
    """The demo kernel with an initrd like that."""
    return GOOD._replace(initrd_file=file, initrd_size=file.size, flags=0)


INT_MAX = (1 << 31) - 1
ZEROS = memoryview(bytes(4096))


def nothing(kernel: Kernel) -> None:
    """Leave the kernel as it is."""


def locked_down(kernel: Kernel) -> None:
    kernel.security.lockdown = Lockdown(LockdownMode.INTEGRITY)


def appraised(kernel: Kernel) -> None:
    config = {"CONFIG_IMA": "y", "CONFIG_IMA_APPRAISE": "y"}
    kernel.facts = replace(kernel.facts, cmdline="ima_policy=secure_boot", kernel_config=config)


def disabled(kernel: Kernel) -> None:
    kernel.write_sysctl("kernel.kexec_load_disabled", 1)


def used_up(kernel: Kernel) -> None:
    kernel.write_sysctl("kernel.kexec_load_limit_reboot", 0)


def busy(kernel: Kernel) -> None:
    assert kernel.kexec_trylock()


BROKEN: list[tuple[str, Rule, int, KexecFileRequest, Callable[[Kernel], None]]] = [
    ("disabled", rules.LOAD_DISABLED, errno.EPERM, GOOD, disabled),
    ("limit", rules.LOAD_LIMIT, errno.EPERM, GOOD, used_up),
    ("flag", rules.FILE_FLAGS, errno.EINVAL, GOOD._replace(flags=0x80), nothing),
    ("busy", rules.LOCK, errno.EBUSY, GOOD, busy),
    ("short", rules.IMAGE, errno.ENOEXEC, GOOD._replace(kernel=GOOD.kernel[:1000]), nothing),
    ("no HdrS", rules.IMAGE, errno.ENOEXEC, patched(0x202, b"HdrX"), nothing),
    ("no boot sector", rules.IMAGE, errno.ENOEXEC, patched(0x1FE, b"\0\0"), nothing),
    ("old protocol", rules.IMAGE, errno.ENOEXEC, patched(0x206, b"\x0b\x02"), nothing),
    ("zImage", rules.IMAGE, errno.ENOEXEC, patched(0x211, b"\0"), nothing),
    ("32-bit", rules.IMAGE, errno.ENOEXEC, patched(0x236, b"\x02\0"), nothing),
    ("below 4 GiB", rules.IMAGE, errno.ENOEXEC, patched(0x236, b"\x01\0"), nothing),
    ("closed", rules.FILE_DESCRIPTOR, errno.EBADF, given(FileFacts(9, regular=False, readable=False)), nothing),
    ("pipe", rules.FILE_REGULAR, errno.EINVAL, given(FileFacts(0, regular=False, writers=True)), nothing),
    ("written to", rules.FILE_WRITERS, errno.ETXTBSY, given(FileFacts(0, writers=True)), nothing),
    ("empty", rules.FILE_EMPTY, errno.EINVAL, given(FileFacts(0)), nothing),
    ("large", rules.FILE_SIZE, errno.EFBIG, given(FileFacts((4 << 30) + 1)), nothing),
    ("larger than memory", rules.FILE_MEMORY, errno.ENOMEM, given(FileFacts(4 << 30)), nothing),
    ("appraised", rules.FILE_APPRAISED, errno.EACCES, given(FileFacts(9, security_ima=b"")), appraised),
    (
        "appraised before memory",
        rules.FILE_APPRAISED,
        errno.EACCES,
        given(FileFacts(4 << 30, security_ima=b"")),
        appraised,
    ),
    ("after the size", rules.FILE_SIZE, errno.EFBIG, given(FileFacts((4 << 30) + 1, security_ima=b"")), appraised),
    ("one of sysfs", rules.FILE_IO, errno.EIO, given(FileFacts(4096, complete=False)), nothing),
    ("before the image", rules.FILE_WRITERS, errno.ETXTBSY, given(FileFacts(1, writers=True), b"x"), nothing),
    ("initrd closed", rules.FILE_DESCRIPTOR, errno.EBADF, initrd(FileFacts(9, readable=False)), nothing),
    ("initrd folder", rules.FILE_REGULAR, errno.EINVAL, initrd(FileFacts(4096, regular=False)), nothing),
    ("initrd written to", rules.FILE_WRITERS, errno.ETXTBSY, initrd(FileFacts(9, writers=True)), nothing),
    ("initrd empty", rules.FILE_EMPTY, errno.EINVAL, initrd(FileFacts(0)), nothing),
    ("initrd of sysfs", rules.FILE_IO, errno.EIO, initrd(FileFacts(4096, complete=False)), nothing),
    ("initrd large", rules.FILE_SIZE, errno.EFBIG, initrd(FileFacts(9 << 29)), nothing),
    ("initrd after the image", rules.IMAGE, errno.ENOEXEC, initrd(FileFacts(0))._replace(kernel=ZEROS), nothing),
    (
        "initrd before the line",
        rules.FILE_EMPTY,
        errno.EINVAL,
        initrd(FileFacts(0))._replace(command_line=b"x"),
        nothing,
    ),
    ("unsigned", rules.SIGNATURE, errno.EPERM, GOOD, locked_down),
    (
        "command line of megabytes",
        rules.COMMAND_LINE_MEMORY,
        errno.ENOMEM,
        GOOD._replace(command_line=bytes((4 << 20) + 1)),
        nothing,
    ),
    ("open command line", rules.COMMAND_LINE_END, errno.EINVAL, GOOD._replace(command_line=b"quiet"), nothing),
    ("cut", rules.TRUNCATED, errno.ENOEXEC, patched(0x1F1, b"\xff")._replace(flags=4), nothing),
    ("long command line", rules.COMMAND_LINE, errno.EINVAL, GOOD._replace(command_line=bytes(2048)), nothing),
    ("no room", rules.HOLE, errno.EADDRNOTAVAIL, GOOD._replace(initrd_size=510 * MIB, flags=0), nothing),
    ("no reservation", rules.HOLE, errno.EADDRNOTAVAIL, GOOD._replace(flags=6), nothing),
    ("half", rules.HALF_OF_MEMORY, errno.EINVAL, GOOD._replace(initrd_size=300 * MIB, flags=0), nothing),
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
        permit(kernel, GOOD, observer=Told(passed=told.append))
    assert tuple(rule for rule in told if rule in rules.FILE_RULES) == rules.FILE_RULES


@pytest.mark.parametrize(
    ("release", "most"), [("5.10.0", (1 << 31) - 1), ("5.19.0", (1 << 31) - 1), ("6.0.0", 4 << 30)]
)
def test_how_large_a_file_may_be(release: str, most: int) -> None:
    facts = replace(facts_of(512 * MIB, release=release), totalram_pages=4 << 20)  # 16 GiB: vmalloc has room
    with Machine(facts) as machine:
        with pytest.raises(KexecError) as raised:
            permit(machine.kernel, initrd(FileFacts(most)))
        assert raised.value.rule is rules.HOLE
        with pytest.raises(KexecError) as raised:
            permit(machine.kernel, initrd(FileFacts(most + 1)))
        assert (raised.value.rule, raised.value.errno) == (rules.FILE_SIZE, errno.EFBIG)


def test_a_crash_kernel_that_does_not_fit_wants_a_larger_reservation() -> None:
    with new_kernel(512 * MIB, crashkernel=64 * MIB) as kernel, pytest.raises(KexecError) as raised:
        permit(kernel, initrd(FileFacts(64 * MIB))._replace(flags=2))
    assert "crashkernel=" in raised.value.hint
    assert "machine" not in raised.value.hint


def test_a_caller_without_the_right() -> None:
    with new_kernel() as kernel, pytest.raises(KexecError) as raised:
        permit(kernel, GOOD, Caller(cap_sys_boot=False))
    assert raised.value.rule == rules.CAP_SYS_BOOT


SIGNED = GOOD._replace(kernel=map_file(debian_kernel("6.12")))
CONFIG = {"CONFIG_KEXEC_SIG": "y", "CONFIG_KEXEC_BZIMAGE_VERIFY_SIG": "y"}
LOCKED_DOWN = "none [integrity] confidentiality"


@pytest.mark.parametrize(
    ("changes", "signed", "number"),
    [
        ({}, False, 0),
        ({"lockdown": LOCKED_DOWN}, False, errno.EPERM),
        ({"lockdown": LOCKED_DOWN}, True, 0),
        ({"signatures_required": True}, False, errno.ENODATA),
        ({"signatures_required": True, "lockdown": LOCKED_DOWN}, False, errno.EPERM),
        ({"kernel_config": CONFIG | {"CONFIG_KEXEC_SIG_FORCE": "y"}, "lockdown": LOCKED_DOWN}, False, errno.ENODATA),
        ({"kernel_config": CONFIG | {"CONFIG_KEXEC_SIG_FORCE": "y"}}, True, 0),
        ({"kernel_config": CONFIG | {"CONFIG_IMA_ARCH_POLICY": "y"}, "secure_boot": True}, False, errno.ENODATA),
        ({"kernel_config": CONFIG | {"CONFIG_IMA_ARCH_POLICY": "y"}, "secure_boot": False}, False, 0),
        ({"kernel_config": {"CONFIG_KEXEC_SIG": "n"}, "lockdown": LOCKED_DOWN}, False, 0),  # nobody looks
        (
            {
                "kernel_config": {
                    "CONFIG_KEXEC_SIG": "y",
                    "CONFIG_KEXEC_SIG_FORCE": "y",
                    "CONFIG_KEXEC_BZIMAGE_VERIFY_SIG": "n",
                }
            },
            True,
            errno.EKEYREJECTED,
        ),
    ],
)
def test_signatures(changes: dict[str, object], signed: bool, number: int) -> None:
    """Whose a signature is, the model does not know: one that is there counts."""
    facts: Facts = replace(facts_of(512 * MIB), **changes)  # type: ignore[arg-type]
    with Machine(facts) as machine:
        asked = SIGNED if signed else GOOD
        if not number:
            permit(machine.kernel, asked)
            return
        with pytest.raises(KexecError) as raised:
            permit(machine.kernel, asked)
        assert (raised.value.rule, raised.value.errno) == (rules.SIGNATURE, number)


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
        assert raised.value.rule == rules.FILE_FLAGS


def test_a_crash_kernel_keeps_room_for_its_headers_in_the_command_line() -> None:
    facts = facts_of(512 * MIB, crashkernel=128 * MIB)
    with Machine(replace(facts)) as machine:
        asked = GOOD._replace(command_line=bytes(2047 - 30), flags=6)
        permit(machine.kernel, asked)
        with pytest.raises(KexecError) as raised:
            permit(machine.kernel, asked._replace(command_line=bytes(2047 - 29)))
        assert raised.value.rule == rules.COMMAND_LINE

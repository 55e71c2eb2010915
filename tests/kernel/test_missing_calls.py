"""A kernel without kexec's calls: ENOSYS by name, and nothing else is asked."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from support.kernels import MIB
from warmboot.kernel import KexecError, Rule, Told, rules
from warmboot.kernel.permit import permit
from warmboot.machines.machine import Machine
from warmboot.memmap import Facts
from warmboot.uapi import KexecFileFlags, KexecFileRequest, LoadRequest, Readable, Segment

FACTS = Facts.of_pc(256 * MIB)
ONE = LoadRequest(16 * MIB, (Segment(Readable.of(b"x"), 1, 16 * MIB, 4096),))
FILE = KexecFileRequest(memoryview(b""), 0, b"\0", KexecFileFlags.UNLOAD)


@pytest.mark.parametrize(
    ("name", "asked", "rule"),
    [("kexec_load", ONE, rules.CONFIG_KEXEC), ("kexec_file_load", FILE, rules.CONFIG_KEXEC_FILE)],
)
def test_a_call_that_the_kernel_was_built_without(name: str, asked: LoadRequest | KexecFileRequest, rule: Rule) -> None:
    facts = replace(FACTS, **{name: "no"}, kexec_known_by="/proc/kallsyms")  # type: ignore[arg-type]
    with Machine(facts) as machine, pytest.raises(KexecError) as caught:
        permit(machine.kernel, asked)
    assert (caught.value.errno, caught.value.rule) == (errno.ENOSYS, rule)
    assert str(caught.value) == f"the kernel has no {name} (/proc/kallsyms)"


@pytest.mark.parametrize(("there", "told"), [("yes", True), (None, False)])
def test_only_what_is_known_to_be_there_is_a_check_that_passed(there: str | None, told: bool) -> None:
    facts = replace(FACTS, kexec_load=there, kexec_file_load=there)
    with Machine(facts) as machine:
        passed: list[Rule] = []
        for asked in (ONE, FILE):
            permit(machine.kernel, asked, observer=Told(passed=passed.append))
    assert (rules.CONFIG_KEXEC in passed, rules.CONFIG_KEXEC_FILE in passed) == (told, told)

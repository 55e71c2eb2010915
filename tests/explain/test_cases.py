"""Real failures: the rule that it was comes first, and what nobody found out is not claimed."""

from __future__ import annotations

import pytest

from explain.cases import CASES, Case
from warmboot.explain.catalog import CATALOG
from warmboot.explain.judge import diagnose
from warmboot.memmap import Facts

_FOUND = [each for each in CASES if each.cause]
_OPEN = [each for each in CASES if not each.cause]


def _name(case: Case) -> str:
    return case.source.partition("://")[2].replace("github.com/", "")


def test_there_are_thirty_that_were_found_out() -> None:
    assert len({each.source for each in _FOUND}) >= 30
    assert len({each.source for each in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_the_right_rule_comes_first(case: Case) -> None:
    found = diagnose(case.text, case.facts).findings
    told = [(each.rule, each.confidence) for each in found]
    assert told[0] == (case.rule, case.sure)
    assert all(sure == "possible" for rule, sure in told if rule != case.rule), told
    assert {rule for rule, _ in told} <= set(CATALOG)


@pytest.mark.parametrize("case", _OPEN, ids=_name)
def test_what_nobody_found_out_is_not_claimed(case: Case) -> None:
    """Then the answer is which command would decide."""
    found = diagnose(case.text, case.facts)
    assert {each.confidence for each in found.findings} == {"possible"}
    assert found.more
    assert found.findings[0].commands


_BOOT = """\
[    0.000000] Linux version 6.12.0-amd64 (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC
[    0.000000] ACPI: RSDP 0x00000000000F5AA0 000014 (v00 BOCHS )
[    0.020000] x86/fpu: x87 FPU will use FXSAVE
[    0.310000] DMAR: Intel(R) Virtualization Technology for Directed I/O
[    0.410000] Trying to unpack rootfs image as initramfs...
[    0.610000] Freeing initrd memory: 30208K
[    0.910000] simple-framebuffer simple-framebuffer.0: [drm] fb0: simpledrmdrmfb frame buffer device
[    1.000000] hpwdt 0000:01:00.0: HPE Watchdog Timer Driver: timeout: 30 seconds
[    1.200000] Loaded X.509 cert 'Debian Secure Boot CA: 6ccece7e4c6c0d1f6149f3dd27dfcc5cbb419ea1'
[    1.400000] Run /init as init process
[    1.900000] i915 0000:00:02.0: [drm] Finished loading DMC firmware
[    2.100000] EXT4-fs (vda1): mounted filesystem with ordered data mode
"""


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_a_boot_that_went_well_before_it_changes_nothing(case: Case) -> None:
    found = diagnose(_BOOT + case.text, case.facts).findings
    assert (found[0].rule, found[0].confidence) == (case.rule, case.sure)
    assert all(each.confidence == "possible" for each in found if each.rule != case.rule)


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_another_machines_facts_claim_nothing_else(case: Case) -> None:
    """A healthy machine that had no part in it: what is more than possible is the same rule."""
    found = diagnose(case.text, Facts.of_pc(64 << 30, cmdline="console=ttyS0 crashkernel=256M", crashkernel=256 << 20))
    assert {each.rule for each in found.findings if each.confidence != "possible"} <= {case.rule}

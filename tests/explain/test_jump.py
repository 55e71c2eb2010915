"""What facts foresee of a boot that stays dark."""

from __future__ import annotations

from dataclasses import replace

import pytest

from explain.reports import CRASH, SMALL
from warmboot.explain.judge import diagnose
from warmboot.memmap import Facts

_DARK = "[   77.2] kexec_core: Starting new kernel\n"
_LOAD = "# kexec -l /boot/vmlinuz-6.1.0 --initrd=/boot/initrd.img --append='console=ttyS0 root=/dev/sda1{}'\n"
_SCREEN = "c0000000-cfffffff : 0000:00:02.0\n  c0000000-c12bffff : {}\n"


def _debug(size: int, at: int = 0x4000000, options: str = "") -> str:
    """What kexec -d prints of a request that the kernel took."""
    return (
        f"# kexec -d {options} -l vmlinuz --append=console=ttyS0\n"
        f"kexec_load: entry = 0x1000000 flags = 0x3e0000\nnr_segments = 1\nsegment[0].buf   = 0x7f1200000010\n"
        f"segment[0].bufsz = {size:#x}\nsegment[0].mem   = {at:#x}\nsegment[0].memsz = {size:#x}\n{_DARK}"
    )


def _first(text: str, facts: Facts) -> tuple[str, str, str]:
    found = diagnose(text, facts).findings[0]
    return found.rule, found.confidence, found.told[0]


@pytest.mark.parametrize(
    ("text", "facts", "rule", "sure", "told"),
    [
        (_debug(5 << 30), SMALL, "slow_purgatory", "possible", "5120 MiB takes 25 s"),
        (
            _debug(1 << 20, 0x20000000),
            replace(SMALL, firmware_memmap="00000000-1fffffff : System RAM\n20000000-200fffff : Reserved\n"),
            "firmware_memory",
            "likely",
            "segment 0 goes to",
        ),
        (_LOAD.format(" mem=2G") + _DARK, SMALL, "firmware_memory", "possible", "mem="),
        (
            _LOAD.format("") + _DARK,
            replace(SMALL, iomem=SMALL.iomem + _SCREEN.format("nvidia")),
            "graphics",
            "possible",
            "nvidia has the display",
        ),
        (
            _LOAD.format("") + _DARK,
            replace(SMALL, iomem=SMALL.iomem + _SCREEN.format("iTCO_wdt.1.auto")),
            "watchdog",
            "possible",
            "iTCO_wdt",
        ),
        (_LOAD.format("") + _DARK, replace(SMALL, cmdline="intel_iommu=on"), "iommu", "possible", "intel_iommu=on"),
        (_LOAD.format("") + _DARK, replace(SMALL, efi=True), "efi_rsdp", "possible", "EFI"),
        (_LOAD.format("") + _DARK, replace(SMALL, la57=True), "silent", "possible", "Starting new kernel"),
        (_DARK, replace(SMALL, la57=True, cmdline="console=ttyS0"), "five_level", "possible", "five levels"),
        ("# kexec -l vmlinuz\n" + _DARK, SMALL, "no_console", "possible", "no console="),
        (
            "# kexec -l vmlinuz --append='console=ttyS0 root=UUID=1f2e'\n" + _DARK,
            SMALL,
            "no_root",
            "possible",
            "needs an initrd",
        ),
    ],
)
def test_what_is_foreseen(text: str, facts: Facts, rule: str, sure: str, told: str) -> None:
    first = _first(text, facts)
    assert first[:2] == (rule, sure)
    assert told in first[2]


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        (_debug(5 << 30, options="-i"), SMALL),
        (_debug(64 << 20), SMALL),
        (_LOAD.format(" intel_iommu=on") + _DARK, replace(SMALL, cmdline="intel_iommu=on")),
        (
            _LOAD.format("") + _DARK,
            replace(SMALL, iomem=SMALL.iomem + _SCREEN.format("efifb"), cmdline="i915.fastboot=1"),
        ),
    ],
)
def test_what_is_not(text: str, facts: Facts) -> None:
    assert _first(text, facts)[0] == "silent"


_CRASH = "# kexec -c -p vmlinuz\nkexec_load failed: Cannot assign requested address\n"
_NONE = "kdump-tools[5348]: Memory for crashkernel is not reserved\n"


@pytest.mark.parametrize(
    ("text", "facts", "rule", "told"),
    [
        (_CRASH, SMALL, "crash_reservation_missing", "no crashkernel="),
        (_CRASH, replace(SMALL, cmdline="crashkernel=256M"), "crash_reservation_failed", "crashkernel=256M"),
        (_CRASH, replace(SMALL, cmdline="crashkernel=2G-:256M"), "crash_reservation_missing", "reserves nothing"),
        (_CRASH, replace(SMALL, cmdline="crashkernel=much"), "crash_reservation_failed", "does not understand"),
        (_NONE, replace(SMALL, cmdline="crashkernel=256M@16M"), "crash_reservation_failed", "256M@16M"),
        (_NONE, replace(SMALL, cmdline="crashkernel=2G-:256M"), "crash_reservation_missing", "not reserved"),
    ],
)
def test_what_became_of_crashkernel(text: str, facts: Facts, rule: str, told: str) -> None:
    first = diagnose(text, facts).findings[0]
    assert (first.rule, first.confidence) == (rule, "likely")
    assert told in " ".join(first.told)


def test_a_reservation_elsewhere_is_told() -> None:
    facts = replace(CRASH, cmdline="crashkernel=128M@16M")
    found = {each.rule: " ".join(each.told) for each in diagnose(_CRASH, facts).findings}
    assert "asks for 0x1000000" in found["crash_reservation_failed"]


_DEVICES = {
    "displays": "card0 nouveau",
    "pci": "0000:03:00.0 nouveau\n0000:00:14.3 iwlwifi",
    "watchdogs": "watchdog0 active 60 iTCO_wdt",
}


@pytest.mark.parametrize(
    ("text", "rule", "sure", "told"),
    [
        (_LOAD.format("") + "the screen is black, but ssh works\n", "graphics", "likely", "nouveau drives card0"),
        (_LOAD.format("") + _DARK, "graphics", "possible", "nouveau drives card0"),
        ("# kexec -e\niTCO_wdt: watchdog did not stop!\n", "watchdog", "likely", "watchdog0 (iTCO_wdt) runs"),
        (
            "# kexec -e\niwlwifi 0000:00:14.3: probe of it failed with error -110\n",
            "device_left_on",
            "likely",
            "iwlwifi",
        ),
    ],
)
def test_risks_of_the_machine_that_fit(text: str, rule: str, sure: str, told: str) -> None:
    """What a line speaks of, the machine has: its display's driver, its watchdog, a driver without a method."""
    found = diagnose(text, replace(SMALL, release="6.12.0", devices=_DEVICES)).findings[0]
    assert (found.rule, found.confidence) == (rule, sure)
    assert any(told in each for each in found.told)

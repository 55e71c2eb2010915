"""What a machine's facts tell of the time after a jump."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.explain.catalog import CATALOG
from warmboot.memmap import Facts
from warmboot.risks.risks import risks_of
from warmboot.uapi import LoadRequest, Readable, Segment

MACHINE = Facts.of_pc(1 << 30, release="6.12.117-amd64")
HEARD = "console=ttyS0"
DESKTOP = {
    "pci": "0000:00:02.0 i915\n0000:00:14.3 iwlwifi\n0000:00:1f.4 i801_smbus\n0000:01:00.0 nvme\n0000:03:00.0 nouveau",
    "displays": "card0 i915\ncard1 nouveau",
    "watchdogs": "watchdog0 active 60 iTCO_wdt\nwatchdog1 inactive 30 softdog",
    "iommu": "DMA 12\nidentity 3",
    "consoles": "tty0",
}


def told(devices: dict[str, str] | None, line: str = HEARD, **changes: str) -> list[tuple[str, str, str]]:
    facts = Facts(**MACHINE.members() | {"devices": devices} | changes)
    return [(each.rule, each.confidence, each.seen) for each in risks_of(facts, line)]


def test_a_desktop() -> None:
    """nouveau got its method after 6.12, iwlwifi has none, nvme always had; what cannot do DMA is not told."""
    found = told(DESKTOP)
    assert [(rule, sure) for rule, sure, _ in found] == [
        ("graphics", "likely"),
        ("graphics", "likely"),
        ("watchdog", "likely"),
        ("device_left_on", "possible"),
        ("device_left_on", "possible"),
        ("iommu", "possible"),
    ]
    assert "i915 drives card0" in found[0][2]
    assert "no shutdown method" not in found[0][2]
    assert found[1][2].endswith("it has no shutdown method in Linux 6.12")
    assert "watchdog0 (iTCO_wdt) runs: it resets the machine 60 s" in found[2][2]
    assert [each[2].split(" (module")[0] for each in found[3:5]] == [
        "0000:00:14.3: its driver iwlwifi",
        "0000:03:00.0: its driver nouveau",
    ]
    assert "12 groups" in found[5][2]


@pytest.mark.parametrize(
    ("release", "sure"),
    [
        ("6.1.0-56-amd64", "in Linux 6.1"),
        ("6.6.9", "in Linux 6.1 and 6.12, and so perhaps in this kernel"),
        ("6.17.0", None),  # 6.12 and 7.2 differ
        ("7.2.1", None),
        ("5.10.0", None),  # older than the table
        ("unknown", None),
    ],
)
def test_the_release_decides(release: str, sure: str | None) -> None:
    found = [seen for rule, _, seen in told({"pci": "0000:03:00.0 nouveau"}, release=release) if rule[:6] == "device"]
    assert [each.partition("shutdown method ")[2] for each in found] == ([] if sure is None else [sure])


def test_modules_stand_in_for_devices() -> None:
    [(rule, _, seen)] = told({"modules": "iwlwifi\nnvme"})
    assert rule == "device_left_on"
    assert seen.startswith("it is loaded: the driver iwlwifi")


@pytest.mark.parametrize(
    ("line", "consoles", "found"),
    [
        ("console=ttyS0,115200", "ttyS0", []),
        ("earlycon", "", []),
        ("console=tty0", "ttyS0\ntty0", [("no_console", "likely")]),
        ("quiet", "tty0", [("no_console", "possible")]),
        ("quiet mem=1G", "ttyS0", [("no_console", "likely"), ("firmware_memory", "possible")]),
        ("console=ttyS0 memmap=4K$0x9f000", "", []),
        ("console=ttyS0 mem=nopentium", "", []),
    ],
)
def test_the_new_command_line(line: str, consoles: str, found: list[tuple[str, str]]) -> None:
    assert [each[:2] for each in told({"consoles": consoles}, line)] == found


def test_the_iommu_by_command_lines() -> None:
    both = f"{HEARD} intel_iommu=on"
    assert told({"iommu": "DMA-FQ 2"}, cmdline="intel_iommu=on")[0][2].startswith("intel_iommu=on is on the running")
    assert "2 groups" in told({"iommu": "DMA-FQ 2"}, both, cmdline="intel_iommu=on")[0][2]
    assert told({"iommu": "identity 20"}) == []


def test_a_segment_in_firmwares_memory() -> None:
    facts = replace(MACHINE, firmware_memmap="00000000-1fffffff : System RAM\n20000000-200fffff : ACPI NVS\n")
    request = LoadRequest(0x1000000, (Segment(Readable.of(b""), 0, 0x200F0000, 0x10000),), 0)
    [risk] = risks_of(facts, HEARD, request=request)
    assert (risk.rule, risk.confidence) == ("firmware_memory", "likely")
    assert "ACPI NVS" in risk.seen


def test_old_facts_have_names_of_regions() -> None:
    """Facts from before `devices`: what /proc/iomem names is possible at most."""
    screen = "c0000000-cfffffff : 0000:00:02.0\n  c0000000-c12bffff : {}\n"
    assert told(None, iomem=MACHINE.iomem + screen.format("nvidia"))[0][:2] == ("graphics", "possible")
    assert told(None, iomem=MACHINE.iomem + screen.format("efifb"), cmdline="i915.fastboot=1") == []
    assert told(None, iomem=MACHINE.iomem + screen.format("iTCO_wdt.1.auto"))[0][:2] == ("watchdog", "possible")


@given(st.dictionaries(st.sampled_from([*DESKTOP, "modules", "framebuffers"]), st.text(max_size=60)), st.text())
def test_whatever_is_told(devices: dict[str, str], line: str) -> None:
    """Text of strangers gives risks that have a page, in words that can be printed, and never an error."""
    for each in risks_of(replace(MACHINE, devices=devices), line):
        assert each.rule in CATALOG
        assert each.confidence in ("likely", "possible")
        assert each.seen.isprintable()
        assert each.subject.isprintable()

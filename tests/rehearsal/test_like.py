"""A machine with EFI, NUMA nodes and far more RAM than fits here is booted as such, as far as QEMU can be one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from support.guests import shell_file
from warmboot.debian import kernel
from warmboot.debian.firmware import efi_firmware
from warmboot.figures import BootFigures, RehearsalPlaceFigures
from warmboot.memmap import Facts, NumaNode, Range
from warmboot.rehearsal.options import Options
from warmboot.rehearsal.rehearse import rehearse
from warmboot.stages import Silent

pytestmark = pytest.mark.needs_qemu

GIB, TIB = 1 << 30, 1 << 40
UNTIL = "warmboot: user space"


def test_efi_four_nodes_and_twelve_terabytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WARMBOOT_OVMF", str(efi_firmware()))
    monkeypatch.setattr("warmboot.rehearsal.computer.ram_that_fits", lambda: 8 * GIB)
    parts = [Range(0, GIB), Range(GIB, 5 * GIB), Range(5 * GIB, 7 * GIB), Range(7 * GIB, 13 * TIB)]
    nodes = tuple(NumaNode(n, tuple(range(16 * n, 16 * n + 16)), (part,)) for n, part in enumerate(parts))
    facts = replace(
        Facts.of_pc(12 * TIB, cpus=64), efi=True, rsdp=0x7FFFE014, numa_nodes=nodes, physical_address_bits=46
    )
    console = tmp_path / "console"
    result = rehearse(Options(kernel("6.12"), facts, [shell_file(tmp_path)], until=UNTIL, console=console), Silent())
    said = console.read_text("utf-8", "replace")
    assert result.exit_status == 0, f"{result.verdict}\n{said[-6000:]}"
    assert "efi: EFI v2" in said
    assert "efivars: Registered efivars operations" in said  # firmware was called at its new addresses
    assert "Brought up 4 nodes, 4 CPUs" in said
    assert "4 NUMA nodes, EFI firmware" in result.figures(BootFigures).machine
    left_out, cpus, rsdp, kept = result.figures(RehearsalPlaceFigures).differs_from_facts
    assert (
        left_out
        == f"{(12 * TIB - 8 * GIB) >> 20} MiB of RAM from 0x280000000 on are left out: QEMU cannot have them here"
    )
    assert cpus == "4 of 64 processors"
    assert rsdp == "ACPI's root pointer is where QEMU's firmware puts it"
    assert kept.endswith(" KiB of RAM are the firmware's")


def test_firmware_that_is_none_is_no_refusal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The kernel loads all the same; only the boot could not be tried."""
    broken = tmp_path / "OVMF.fd"
    broken.write_bytes(bytes(1000))
    monkeypatch.setenv("WARMBOOT_OVMF", str(broken))
    result = rehearse(Options(kernel("6.12"), replace(Facts.of_pc(GIB, cpus=2), efi=True)), Silent())
    assert result.exit_status == 3, result.verdict
    assert result.verdict.startswith(
        "it loads, and the new kernel's entry point is reached; boot not tried: QEMU ended"
    )

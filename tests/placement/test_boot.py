"""Whole machines: what boots real kernels is not only the 64-bit entry of a bzImage."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.formats import pe, vmlinux
from support.guests import shell_file
from support.multiboot_kernel import multiboot1_kernel, multiboot2_kernel
from warmboot.debian import kernel
from warmboot.images import Image, identify, map_file
from warmboot.machines.arch import of
from warmboot.machines.machine import Machine
from warmboot.machines.qemu import QemuMachine
from warmboot.memmap import Facts
from warmboot.placement import Module, PlaceOptions, place
from warmboot.purgatory import Console
from warmboot.rehearsal.boot_watch import BootWatch

pytestmark = pytest.mark.needs_qemu

PATIENCE = 180.0  # seconds: for a busy computer


def rehearse(image: Path, initrd: Path, *options: str) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "warmboot",
        "rehearse",
        str(image),
        "--initrd",
        str(initrd),
        "--json",
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    assert done.returncode == 0, result["verdict"]
    return result


def stage(result: dict[str, Any], name: str) -> dict[str, Any]:
    [found] = [each["figures"] for each in result["stages"] if each["name"] == name]
    assert isinstance(found, dict)
    return found


def test_an_elf_vmlinux_is_rehearsed(tmp_path: Path) -> None:
    image = tmp_path / "vmlinux"
    image.write_bytes(vmlinux("6.1"))
    result = rehearse(image, shell_file(tmp_path))
    assert stage(result, "inspect")["kind"] == "elf-x86_64"
    assert stage(result, "boot")["reached"] == "user space"
    assert stage(result, "boot")["release"].startswith("6.1.")


def test_a_unified_kernel_image_is_rehearsed(tmp_path: Path) -> None:
    """Up to the kernel's entry: its own command line and initrd come with it."""
    image = tmp_path / "linux.efi"
    sections = [(".linux", kernel("6.1").read_bytes()), (".initrd", b"its own!"), (".cmdline", b"quiet from_uki\0")]
    image.write_bytes(pe(sections))
    given = shell_file(tmp_path)
    result = rehearse(image, given, "--no-boot")
    placed = stage(result, "place")
    [initrd] = [each for each in placed["segments"] if each["name"] == "initrd"]
    assert initrd["bufsz"] == 8 + given.stat().st_size
    assert stage(result, "hand over")["digest"] == "verified in this process"
    assert stage(result, "hand over")["registers"]["rip"] == placed["kernel_entry"]


def booted(image: Image, until: str, memory: int, **options: Any) -> list[str]:  # noqa: ANN401 - place's own
    """The console of a machine that is handed over to the image, which says `until`."""
    board = of("x86_64").board(Facts.of_pc(memory, cpus=1), 1, memory)
    lines: list[str] = []
    with Machine(board.facts, banks=board.computer.banks) as machine:
        qemu = QemuMachine(board.computer, memory_fd=machine.memory.fd)
        with qemu:
            qemu.start()
            placement = place(image, machine.facts, PlaceOptions(**options))
            machine.kernel.kexec_load(placement.request)
            qemu.release(machine.kernel.reboot(), timeout=PATIENCE)
            watch = BootWatch(qemu, until=until)
            watch.run(PATIENCE, lines.append)
            assert watch.passed, watch.problem
    return lines


def test_the_32_bit_entry_boots_to_user_space(tmp_path: Path) -> None:
    """With all that the purgatory may say and do: over the serial port, and on a screen that it sets up."""
    lines = booted(
        identify(kernel("7.2")),
        "Run /init as init process",
        5 << 30,
        initrds=[map_file(shell_file(tmp_path))],
        command_line="console=ttyS0",
        entry_32bit=True,
        console=Console(serial=True, vga=True, reset_vga=True, serial_baud=115200),
    )
    said = [line for line in lines if line.startswith("warmboot: ")]
    assert said == ["warmboot: checking what was loaded", "warmboot: entering the new kernel"]


@pytest.mark.parametrize("protocol", [1, 2])
def test_a_multiboot_kernel_runs(tmp_path: Path, protocol: int) -> None:
    image, module = tmp_path / "kernel", tmp_path / "module"
    image.write_bytes(multiboot1_kernel() if protocol == 1 else multiboot2_kernel())
    module.write_bytes(b"MODU".ljust(5000, b"\0"))
    modules = [Module(map_file(module), "module")]
    said = f"release=multiboot{protocol} line={image},a,b module=MODU"
    booted(identify(image), said, 1 << 30, modules=modules, command_line="a b")

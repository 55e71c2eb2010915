"""`rehearse --call kexec_file_load`: the kernel places the image itself, and it boots, EFI handed on."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from support.efi_told import TELL_EFI, efi_problems
from support.guests import FAST, shell
from warmboot.debian import kernel, release
from warmboot.debian.firmware import efi_firmware
from warmboot.figures import BootFigures, HandOverFigures, RehearsalPlaceFigures
from warmboot.kernel.call import Call
from warmboot.machines.machine import Machine
from warmboot.memmap import Facts
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.rehearsal.file_call import load_file, restore_purgatory, try_place
from warmboot.rehearsal.handover import hand_over
from warmboot.rehearsal.options import CommandLineRequest, Options
from warmboot.rehearsal.rehearse import rehearse
from warmboot.stages import Silent
from warmboot.uapi import PAGE_SIZE, KexecFileRequest, Readable

GIB = 1 << 30
INIT = f"#!/bin/busybox sh\n{TELL_EFI}\necho by-the-file-call\n/bin/busybox poweroff -f\n".encode()
INITRD = bytes(range(256)) * 4096
REQUEST = KexecFileRequest(memoryview(demo_kernel()), len(INITRD), b"quiet\0", initrd=Readable.of(INITRD))


@pytest.mark.needs_qemu
@pytest.mark.parametrize("efi", [False, True], ids=["seabios", "ovmf"])
@pytest.mark.parametrize("series", ["6.1", "6.12", "7.2"])
def test_it_boots(series: str, efi: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if efi:
        monkeypatch.setenv("WARMBOOT_OVMF", str(efi_firmware()))
    image, initrd, console = kernel(series), tmp_path / "initrd", tmp_path / "console"
    initrd.write_bytes(shell(INIT))
    facts = replace(Facts.of_pc(GIB, cpus=2, release=release(image)), efi=efi)
    line = CommandLineRequest(append=FAST)
    options = Options(image, facts, [initrd], line, call=Call.FILE, console=console, until="by-the-file-call")
    result = rehearse(options, Silent())
    said = console.read_text(errors="replace")
    assert result.exit_status == 0, (result.verdict, said[-3000:])
    assert result.figures(BootFigures).reached == "'by-the-file-call' on the console"
    placed = result.figures(RehearsalPlaceFigures)
    assert (placed.call, placed.segments is not None) == (Call.FILE, True)
    assert "ours runs in its place" in placed.why
    names = [each.name for each in placed.segments or ()]
    assert names == ["purgatory", "boot parameters", "kernel", "initrd"]
    assert result.figures(HandOverFigures).digest == "verified in this process"
    where = next(each for each in placed.segments or () if each.name == "initrd")
    assert f"RAMDISK: [mem {where.mem:#010x}-{where.mem + where.memsz - 1:#010x}]" in said
    assert ("efi: EFI v2" in said) is efi
    assert not efi or list(efi_problems(said)) == []
    assert re.search(r"random: crng init done", said)


@pytest.mark.parametrize("release_", ["5.10.0", "6.1.0", "6.12.0", "7.2.0"])
def test_our_purgatory_checks_what_linux_placed_and_enters_it(release_: str) -> None:
    with Machine(Facts.of_pc(GIB, release=release_)) as machine:
        placement, problem = try_place(machine.kernel, REQUEST)
        assert placement is not None, problem
        loaded = load_file(machine.kernel, REQUEST)
        assert [each.mem for each in loaded.request.segments] == [each.mem for each in placement.request.segments]
        done = hand_over(machine, loaded)
        assert done.reached, done.problem
        assert done.digest_checked
        assert (done.state.rip, done.state.rsi) == (loaded.kernel.mem + 0x200, loaded.boot_params)
        initrd = next(each for each in loaded.request.segments if each.name == "initrd")
        assert machine.memory.read(initrd.mem, len(INITRD)) == INITRD


def test_a_page_that_changes_after_the_load_is_found() -> None:
    with Machine(Facts.of_pc(GIB)) as machine:
        loaded = load_file(machine.kernel, REQUEST)
        image = machine.kernel.kexec_image
        assert image is not None
        victim = image.sources[3][100] * PAGE_SIZE
        machine.memory.write(victim, bytes(16))
        done = hand_over(machine, loaded)
        assert not done.reached
        restore_purgatory(machine.kernel)
        machine.memory.write(victim, INITRD[100 * PAGE_SIZE : 101 * PAGE_SIZE])
        assert hand_over(machine, loaded).reached


def test_a_crash_image_of_the_file_call_is_entered() -> None:
    facts = Facts.of_pc(GIB, crashkernel=256 << 20)
    with Machine(facts) as machine:
        loaded = load_file(machine.kernel, REQUEST._replace(flags=2))
        assert loaded.command_line.startswith(f"elfcorehdr={facts.crash_kernel[0].start:#x} ")
        reserved = facts.crash_kernel[0]
        assert all(reserved.start <= each.mem < each.end <= reserved.end for each in loaded.request.segments)
        assert reserved.start <= loaded.request.entry < reserved.end
        assert machine.kernel.crash_kexec() is not None

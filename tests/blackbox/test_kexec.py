"""The drop-in with a black box: what it asks of the kernel, and what it writes into the page; nothing without one."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.computers import iomem, memmap, tree
from support.crash_machine import CrashMachine
from support.peer import Captured, Load, LoadFile, Piece, Reboot, captured
from support.side_by_side import OURS
from warmboot.blackbox.record import BOX_SIZE, Box, Stage, parse
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel

pytestmark = pytest.mark.needs_namespaces

BOX = 0x3000_0000
WORDS = f"memmap=4K${BOX:#x} warmboot.blackbox={BOX:#x}"
EARLYCON = f"earlycon=uart8250,mmio,{BOX + 0x800:#x}"
FILES = {
    **memmap([(0x100000, 0x3FFF_FFFF, "System RAM")]),
    **iomem(
        [
            (0x100000, BOX - 1, "System RAM"),
            (BOX, BOX + BOX_SIZE - 1, "Reserved"),
            (BOX + BOX_SIZE, 0x3FFF_FFFF, "System RAM"),
        ]
    ),
    "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu lm\n",
    "proc/cmdline": f"quiet {WORDS}\n",
    "proc/sys/kernel/random/boot_id": "00112233-4455-6677-8899-aabbccddeeff\n",
    "sys/kernel/kexec_loaded": "1\n",
    "sys/kernel/kexec_crash_loaded": "0\n",
}


class Computer:
    """A made-up computer whose /dev/mem is a file."""

    def __init__(self, folder: Path, files: dict[str, str]) -> None:
        self.root = tree(folder / "computer", files)
        self.mem = self.root / "dev" / "mem"
        self.mem.parent.mkdir()
        self.mem.touch()
        os.truncate(self.mem, BOX + BOX_SIZE)
        self.image = folder / "vmlinuz"
        self.image.write_bytes(demo_kernel())

    def kexec(self, *words: str | Path, status: int = 0) -> Captured:
        found = captured([*OURS, *words], self.root, answer=lambda _: 0)
        assert found.status == status, found.stderr
        return found

    def page(self) -> bytes:
        with self.mem.open("rb") as file:
            return os.pread(file.fileno(), BOX_SIZE, BOX)


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path, FILES)


def load_of(found: Captured) -> Load:
    [load] = [each for each in found.calls if isinstance(each, Load)]
    return load


def parameters_of(load: Load) -> tuple[str, list[tuple[int, int, int]]]:
    """The command line and the e820 map in the zero page."""
    [page] = [each.data for each in load.segments if each.data[0x202:0x206] == b"HdrS" and len(each.data) < 0x4000]
    count = page[0x1E8]
    line = page[4096:].partition(b"\0")[0].decode()
    return line, [struct.unpack_from("<QQI", page, 0x2D0 + 20 * number) for number in range(count)]


def purgatory_of(load: Load) -> Piece:
    [purgatory] = [each for each in load.segments if each.mem == load.entry]
    return purgatory


def box_of(computer: Computer) -> Box:
    box = parse(computer.page())
    assert box is not None
    return box


def test_where_the_running_kernel_keeps_a_page_it_is_used(computer: Computer) -> None:
    found = computer.kexec("-l", computer.image, "--append", "quiet", "-d")
    load = load_of(found)  # by kexec_load, though nobody said -c
    line, e820 = parameters_of(load)
    assert line == f"quiet {WORDS} {EARLYCON}"
    assert (BOX, BOX_SIZE, 2) in e820
    *segments, page = load.segments
    assert not any(each.mem < BOX + BOX_SIZE and each.mem + each.memsz > BOX for each in segments)
    assert (page.mem, page.memsz) == (BOX, BOX_SIZE)  # by whose copy Linux marks that it has relocated all
    relocated = parse(page.data)
    assert relocated is not None
    assert (relocated.stage, relocated.verified) == (Stage.RELOCATED, True)
    told = purgatory_of(load).data
    assert struct.unpack_from("<Q", told, 0x78)[0] == BOX
    assert computer.page()[:0x400] == told[-0x400:]
    box = box_of(computer)
    assert box.stage is Stage.LOADED
    assert (box.template.purgatory, box.template.running) == (load.entry, os.uname().release)
    assert box.template.boot_id.hex() == "00112233445566778899aabbccddeeff"
    assert [(each.start, each.size) for each in box.template.segments] == [(e.mem, e.memsz) for e in segments]
    assert f"black box at {BOX:#x}; added to the command line: {WORDS}" in found.stderr


def test_the_same_command_line_again_is_not_longer(computer: Computer) -> None:
    (computer.root / "proc/cmdline").write_text(f"quiet {WORDS} {EARLYCON}\n")
    line, _ = parameters_of(load_of(computer.kexec("-l", computer.image, "--reuse-cmdline")))
    assert line == f"quiet {WORDS} {EARLYCON}"


def layout(load: Load) -> list[tuple[int, int, int]]:
    return [(each.mem, each.memsz, len(each.data)) for each in load.segments]


def test_without_a_box_all_is_as_it_was(computer: Computer, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    without = Computer(plain, {**FILES, **iomem([(0x100000, 0x3FFF_FFFF, "System RAM")]), "proc/cmdline": "quiet\n"})
    words = ("-c", "-l", computer.image, "--append", "quiet", "-i")
    loads = [load_of(each.kexec(*words, "--no-blackbox")) for each in (computer, without)]
    assert layout(loads[0]) == layout(loads[1])
    assert parameters_of(loads[0]) == parameters_of(loads[1])
    assert purgatory_of(loads[0]) == purgatory_of(loads[1])
    stamped = load_of(without.kexec(*words))  # with time stamps: a node of setup_data more, and nothing else
    assert parameters_of(stamped) == parameters_of(loads[0])
    assert [each[:2] for each in layout(stamped)] == [each[:2] for each in layout(loads[0])]
    assert [any(b"WBSTAMP1" in each.data for each in load.segments) for load in (stamped, loads[0])] == [True, False]
    assert not any(computer.page())
    assert not any(without.page())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--blackbox=page",), "this computer has no page for a black box"),
        (("--blackbox=0x20000000",), "it is RAM of the running kernel"),
        (("--blackbox=cellar",), "no address"),
    ],
)
def test_a_box_that_cannot_be(computer: Computer, words: Sequence[str], told: str) -> None:
    (computer.root / "proc/cmdline").write_text("quiet\n")
    for call in ("-c", "-s"):
        found = computer.kexec(call, "-l", computer.image, *words, status=255)
        assert not found.calls
        assert told in found.stderr
    assert not any(computer.page())


def test_a_box_that_is_named(computer: Computer) -> None:
    (computer.root / "proc/cmdline").write_text("quiet\n")
    load_of(computer.kexec("-l", computer.image, f"--blackbox={BOX:#x}"))
    assert box_of(computer).stage is Stage.LOADED


@pytest.mark.parametrize("call", ["-s", "-a"])
def test_the_file_call_is_taken_where_it_is_named(computer: Computer, call: str) -> None:
    """Linux's own purgatory marks nothing then; what user space can do is done."""
    [load] = computer.kexec(call, "-l", computer.image, "--append", "quiet").calls
    assert isinstance(load, LoadFile)
    assert load.command_line == f"quiet {WORDS} {EARLYCON}"
    box = box_of(computer)
    assert (box.stage, box.template.segments) == (Stage.LOADED, ())


def test_a_crash_image_leaves_what_the_last_kexec_has_marked(computer: Computer, tmp_path: Path) -> None:
    """kdump loads one at each boot. Its own purgatory writes the page when it is started; Linux's does not."""
    at = 0x7FFE_0000  # Reserved
    root = CrashMachine(cmdline=f"crashkernel=256M memmap=4K${at:#x} warmboot.blackbox={at:#x}").write(
        tmp_path / "crash"
    )
    (root / "dev").mkdir(exist_ok=True)
    with (root / "dev/mem").open("wb") as file:
        os.pwrite(file.fileno(), b"\xa5" * BOX_SIZE, at)
    words = ("-p", computer.image, "--append=quiet")
    found = captured([*OURS, "-c", *words], root)
    assert struct.unpack_from("<Q", purgatory_of(load_of(found)).data, 0x78)[0] == at
    assert any(f"warmboot.blackbox={at:#x}".encode() in each.data for each in load_of(found).segments)
    [by_file] = captured([*OURS, "-s", *words], root).calls
    assert isinstance(by_file, LoadFile)
    assert by_file.command_line == "quiet"
    refused = captured([*OURS, "-s", f"--blackbox={at:#x}", *words], root)
    assert (refused.status, refused.calls) == (255, ())
    assert "Linux's purgatory does not write it" in refused.stderr
    with (root / "dev/mem").open("rb") as file:
        assert os.pread(file.fileno(), BOX_SIZE, at) == b"\xa5" * BOX_SIZE


def test_a_kernel_that_is_locked_down_is_asked_to_load_the_file(computer: Computer) -> None:
    tree(computer.root, {**FILES, "sys/kernel/security/lockdown": "none [integrity] confidentiality\n"})
    [load] = computer.kexec("-l", computer.image).calls
    assert isinstance(load, LoadFile)


def test_the_call_is_marked(computer: Computer) -> None:
    computer.kexec("-l", computer.image)
    found = computer.kexec("-e", "-x", status=255)  # the kernel, which is ours, goes on
    assert any(isinstance(each, Reboot) for each in found.calls)
    assert box_of(computer).stage is Stage.CALLING
    before = computer.page()
    computer.mem.chmod(0o400)
    computer.kexec("-e", "-x", status=255)
    assert computer.page() == before


def test_the_call_is_not_marked_in_the_box_of_another_load(computer: Computer) -> None:
    (computer.root / "var/lib").mkdir(parents=True)
    computer.kexec("-l", computer.image)
    before = computer.page()
    computer.kexec("-l", computer.image, "--no-blackbox")  # what is started now
    computer.kexec("-e", "-x", status=255)
    assert computer.page() == before
    computer.kexec("-l", computer.image)
    (computer.root / "var/lib/warmboot/last-kexec.json").unlink()
    (computer.root / "proc/sys/kernel/random/boot_id").write_text("ffffffff-4455-6677-8899-aabbccddeeff\n")
    before = computer.page()
    computer.kexec("-e", "-x", status=255)
    assert computer.page() == before


def test_the_call_is_marked_where_an_address_was_given(computer: Computer) -> None:
    (computer.root / "var/lib/warmboot").mkdir(parents=True)
    (computer.root / "proc/cmdline").write_text("quiet\n")
    computer.kexec("-c", "-l", computer.image, f"--blackbox={BOX:#x}")
    computer.kexec("-e", "-x", status=255)
    assert box_of(computer).stage is Stage.CALLING


def test_what_is_no_story_of_a_load_stays(computer: Computer) -> None:
    with computer.mem.open("r+b") as file:
        os.pwrite(file.fileno(), b"\xa5" * BOX_SIZE, BOX)
    computer.kexec("-e", "-x", status=255)
    assert computer.page() == b"\xa5" * BOX_SIZE


def test_memory_that_may_not_be_written_is_no_reason_to_stop(computer: Computer) -> None:
    computer.mem.unlink()
    load_of(computer.kexec("-l", computer.image))
    computer.kexec("-e", "-x", status=255)

"""A black box in ramoops' region: in what it leaves over, or at the end of its last record while that is empty."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from support.blackbox_faults import guest_for
from support.blackbox_guest import BOOT, BlackBoxGuest
from support.computers import iomem, tree
from warmboot.blackbox.memory import look
from warmboot.blackbox.place import find_place, page_words
from warmboot.blackbox.ramoops import ramoops_page
from warmboot.blackbox.record import BOX_SIZE, Stage, parse

REGION, SIZE = 0x0E00_0000, 0x20_0000  # a large page of the jump's page tables, without any RAM in it
WITH_REST = {"record_size": 0x8000, "console_size": 0x1_0000, "ftrace_size": 0x1000, "pmsg_size": 0x1000}
WITHOUT = {"record_size": 0x8000, "console_size": 0, "ftrace_size": 0x4000, "pmsg_size": 0x4000}
REST = REGION + SIZE - BOX_SIZE
LAST_RECORD = REGION + 62 * 0x8000  # of 63
WORDS = f"/stage/kernel --initrd=/stage/initrd --command-line='{BOOT}'"
DAMAGED = f"python3.11 -B /stage/damage.py segment initrd last -- -l -d {WORDS}"


def computer(root: Path, sizes: dict[str, int], header: bytes = b"", *, size: int = SIZE, ecc: int = 0) -> str:
    values = {"mem_address": REGION, "mem_size": size, "ecc": ecc, **sizes}
    files: dict[str, str | bytes] = {
        f"sys/module/ramoops/parameters/{name}": f"{value}\n" for name, value in values.items()
    }
    ram = [(0x10_0000, REGION - 1, "System RAM"), (REGION, REGION + size - 1, "Reserved")]
    made = tree(root, {**files, **iomem(ram)})
    (made / "dev").mkdir()
    with (made / "dev/mem").open("wb") as file:
        file.truncate(REGION + size)
        file.seek(LAST_RECORD)
        file.write(header)
    return str(made)


def zone(size: int) -> bytes:
    return struct.pack("<4sII", b"DBGC", 0, size)


def test_what_the_zones_leave_over(tmp_path: Path) -> None:
    root = computer(tmp_path, WITH_REST)
    assert ramoops_page(root) == find_place(root) == REST


def test_the_end_of_a_last_record_that_is_empty(tmp_path: Path) -> None:
    assert find_place(computer(tmp_path, WITHOUT, zone(0))) == LAST_RECORD + 0x8000 - BOX_SIZE


@pytest.mark.parametrize(
    ("sizes", "header", "ecc"),
    [
        (WITHOUT, zone(100), 0),  # a log is there
        (WITHOUT, bytes(12), 0),  # no zone: these are not the sizes of what runs
        (WITHOUT, zone(0), 16),  # check bytes are behind it
        ({**WITHOUT, "record_size": 0x1000}, zone(0), 0),  # no page behind the header's
        ({**WITHOUT, "record_size": 0}, zone(0), 0),
        ({**WITHOUT, "console_size": SIZE}, zone(0), 0),
    ],
)
def test_no_page_to_spare(sizes: dict[str, int], header: bytes, ecc: int, tmp_path: Path) -> None:
    assert find_place(computer(tmp_path, sizes, header, ecc=ecc)) is None


def test_sizes_count_as_linux_rounds_them(tmp_path: Path) -> None:
    given = {**WITH_REST, "record_size": 0xFFFF, "console_size": 0x1_FFFF}
    assert ramoops_page(computer(tmp_path, given)) == REST


def test_the_next_kernel_keeps_the_whole_region(tmp_path: Path) -> None:
    """It may load ramoops at the same place, which was some program's page otherwise."""
    root = computer(tmp_path, WITH_REST)
    assert page_words(REST, "quiet", root=root).startswith(f"memmap=2048K${REGION:#x} warmboot.blackbox={REST:#x} ")
    assert "memmap" not in page_words(REST, f"memmap=2M${REGION:#x}", root=root)
    assert page_words(0x0C00_0000, "quiet", root=root).startswith("memmap=4K$0xc000000 ")


def test_a_region_that_is_ram_of_the_running_kernel_has_none(tmp_path: Path) -> None:
    root = computer(tmp_path, WITH_REST)
    (tmp_path / "proc/iomem").write_text("00100000-3fffffff : System RAM\n  0e000000-0e1fffff : Reserved\n")
    assert ramoops_page(root) == REST
    assert find_place(root) is None
    looked = look(root)
    assert (looked.found, looked.problems) == ((), ())


@pytest.mark.slow(60)
@pytest.mark.needs_qemu
def test_kexecs_that_fail_and_one_that_does_not() -> None:
    """Marks in CMOS memory; then both pages, in a region that the page tables for the jump have only because the box is
    a segment; then the log of a kernel that panics, in the same region."""
    with guest_for(modules=["reed_solomon", "ramoops"], kept=f"memmap=2M${REGION:#x}", box=REST) as guest:
        guest.up()
        by_cmos(guest)
        in_what_is_left_over(guest)
        in_the_last_record(guest)
        a_log_beside_it(guest)


def by_cmos(guest: BlackBoxGuest) -> None:
    assert guest.run(f"{DAMAGED} --blackbox=cmos").status == 0
    guest.send("kexec -e")
    guest.until_said("the loaded image is damaged at")
    guest.reset()
    guest.up()
    story = json.loads(guest.run("warmboot blackbox --json").text)
    assert (story["stage"], story["where"]) == ("checking", "CMOS memory at 0x70, by its ports")
    assert "relocation done; purgatory: piece " in story["told"]
    assert (story["kernel"], story["causes"][0]["rule"]) == ("/stage/kernel", "digest")
    guest.run("warmboot blackbox clear")
    assert "nothing is known of a kexec" in guest.run("warmboot blackbox").text


def in_what_is_left_over(guest: BlackBoxGuest) -> None:
    assert guest.run(_ramoops(WITH_REST)).status == 0
    load = guest.run(DAMAGED)
    assert load.status == 0, load.text
    assert f"black box at {REST:#x}; added to the command line: memmap=2048K${REGION:#x} " in load.text
    guest.send("kexec -e")
    guest.until(_differs, "the piece that differs")
    guest.reset()
    guest.up()
    guest.run("rm /var/lib/warmboot/*")  # ramoops alone says where it is
    assert guest.run(_ramoops(WITH_REST)).status == 0
    assert guest.run("mount -t pstore none /sys/fs/pstore; ls /sys/fs/pstore").lines == []  # no log of an oops
    story = json.loads(guest.run("warmboot blackbox --json").text)
    assert (story["stage"], story["piece"]["kind"], story["piece"]["differs"]) == ("checking", "initrd", True)
    assert story["where"] == f"ramoops' region at {REST:#x}, by /dev/mem"
    assert guest.run("warmboot blackbox clear; umount /sys/fs/pstore; rmmod ramoops").status == 0


def in_the_last_record(guest: BlackBoxGuest) -> None:
    guest.page = LAST_RECORD + 0x8000 - BOX_SIZE
    assert guest.run(_ramoops(WITHOUT)).status == 0
    load = guest.run(f"kexec -l -d {WORDS}")
    assert f"black box at {guest.page:#x}; added" in load.text, load.text
    guest.send("kexec -e")
    guest.up()
    box = parse(guest.box())
    assert box is not None
    assert (box.stage, box.printed) == (Stage.ENTERING, True)
    told = guest.run("warmboot blackbox arrived; cat /proc/cmdline /proc/iomem")
    box = parse(guest.box())
    assert box is not None
    assert box.stage is Stage.ARRIVED, told.text


def a_log_beside_it(guest: BlackBoxGuest) -> None:
    """The kernel that kexec started starts one that panics."""
    assert guest.run(f"{_ramoops(WITHOUT)}; kexec -l {WORDS}").status == 0
    guest.send("kexec -e")
    guest.up()
    assert guest.run(_ramoops(WITHOUT)).status == 0
    guest.send("exit 7")  # of the first program: a panic, and firmware's boot
    guest.up()
    assert guest.run(f"{_ramoops(WITHOUT)}; mount -t pstore none /sys/fs/pstore").status == 0
    story = json.loads(guest.run("warmboot blackbox --json").text)
    assert (story["stage"], story["log"]) == ("entering", "/sys/fs/pstore/dmesg-ramoops-0")
    assert "it panicked: Attempted to kill init! exitcode=0x00000700" in story["told"]
    assert any("Attempted to kill init" in each for each in story["last_words"])
    assert (story["address"], story["causes"][0]["rule"]) == (guest.page, "no_init")


def _ramoops(sizes: dict[str, int]) -> str:
    words = " ".join(f"{name}={value}" for name, value in {"mem_address": REGION, "mem_size": SIZE, **sizes}.items())
    return f"[ -d /sys/module/reed_solomon ] || insmod /stage/reed_solomon.ko; insmod /stage/ramoops.ko {words}"


def _differs(page: bytes) -> bool:
    box = parse(page)
    return box is not None and box.differs

"""A black box in ramoops' region: at the end of its last record while that is empty, or behind its zones."""

from __future__ import annotations

import json
import re
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
EVEN = {"record_size": 0x8000, "console_size": 0, "ftrace_size": 0x4000, "pmsg_size": 0x4000}
EVEN_LAST = REGION + 62 * 0x8000  # of 63
EVEN_PAGE = REGION + 63 * 0x8000 - BOX_SIZE
# 61 records share 0x1ee000 bytes, so that each has 0x8192, and the zones behind them begin at no page either.
UNEVEN = {"record_size": 0x8000, "console_size": 0x1_0000, "ftrace_size": 0x1000, "pmsg_size": 0x1000}
UNEVEN_LAST = REGION + 60 * 0x8192
UNEVEN_PAGE = REGION + 0x1E_C000
# Six records share 0x1a0000 bytes, of which none gets an odd number.
ODD = {"record_size": 0x4_0000, "console_size": 0x2_0000, "ftrace_size": 0x2_0000, "pmsg_size": 0x2_0000}
ODD_LAST = REGION + 5 * 0x4_5554
NO_RECORDS = {"record_size": 0, "console_size": 0x1_0000, "ftrace_size": 0, "pmsg_size": 0x4000}
LAST_PAGE = REGION + SIZE - BOX_SIZE
WORDS = f"/stage/kernel --initrd=/stage/initrd --command-line='{BOOT}'"
DAMAGED = f"python3.11 -B /stage/damage.py segment initrd last -- -l -d {WORDS}"


def computer(
    root: Path, sizes: dict[str, int], headers: dict[int, bytes], *, start: int = REGION, ecc: str = "0"
) -> str:
    """`headers` are what is in memory, by physical address."""
    values = {"mem_address": start, "mem_size": SIZE, "ecc": ecc, **sizes}
    files: dict[str, str | bytes] = {
        f"sys/module/ramoops/parameters/{name}": f"{value}\n" for name, value in values.items()
    }
    ram = [(0x10_0000, REGION - 1, "System RAM"), (REGION, REGION + SIZE - 1, "Reserved")]
    made = tree(root, {**files, **iomem(ram)})
    (made / "dev").mkdir()
    with (made / "dev/mem").open("wb") as file:
        file.truncate(REGION + SIZE)
        for at, header in headers.items():
            file.seek(at)
            file.write(header)
    return str(made)


def zone(size: int) -> bytes:
    return struct.pack("<4sII", b"DBGC", 0, size)


@pytest.mark.parametrize(
    ("sizes", "header", "page"),
    [
        (EVEN, EVEN_LAST, EVEN_PAGE),
        (UNEVEN, UNEVEN_LAST, UNEVEN_PAGE),
        ({**UNEVEN, "record_size": 0xFFFF, "console_size": 0x1_FFFF}, UNEVEN_LAST, UNEVEN_PAGE),  # as Linux rounds them
        (ODD, ODD_LAST, REGION + 0x19_E000),
        (NO_RECORDS, REGION, LAST_PAGE),
    ],
)
def test_a_page_to_spare(sizes: dict[str, int], header: int, page: int, tmp_path: Path) -> None:
    root = computer(tmp_path, sizes, {header: zone(0)})
    assert ramoops_page(root) == find_place(root) == page


def test_a_header_across_two_pages(tmp_path: Path) -> None:
    start = REGION + 0xFFC - (EVEN_LAST - REGION) % BOX_SIZE
    root = computer(tmp_path, EVEN, {start + EVEN_LAST - REGION: zone(0)}, start=start)
    assert ramoops_page(root) == EVEN_PAGE
    root = computer(tmp_path / "used", EVEN, {start + EVEN_LAST - REGION: zone(1)}, start=start)
    assert ramoops_page(root) is None


@pytest.mark.parametrize(
    ("sizes", "header", "ecc"),
    [
        (EVEN, zone(100), "0"),  # a log is there
        (EVEN, bytes(12), "0"),  # no zone: these are not the sizes of what runs
        (EVEN, zone(0), "16"),  # check bytes are behind it
        (EVEN, zone(0), "-1"),
        ({**EVEN, "record_size": 0x1000}, zone(0), "0"),  # no page behind the header's
        ({**EVEN, "record_size": SIZE}, zone(0), "0"),
        ({**EVEN, "record_size": SIZE // 2}, zone(0), "0"),  # one record
        ({**EVEN, "console_size": SIZE}, zone(0), "0"),
        ({**EVEN, "console_size": 1 << 63}, zone(0), "0"),
        ({**EVEN, "record_size": 0}, zone(0), "0"),  # no console whose zone could be looked at
        ({**NO_RECORDS, "console_size": SIZE - 1}, zone(0), "0"),
    ],
)
def test_no_page_to_spare(sizes: dict[str, int], header: bytes, ecc: str, tmp_path: Path) -> None:
    assert find_place(computer(tmp_path, sizes, {EVEN_LAST: header}, ecc=ecc)) is None


def test_the_next_kernel_keeps_the_whole_region(tmp_path: Path) -> None:
    """It may load ramoops at the same place, which was some program's page otherwise."""
    root = computer(tmp_path, EVEN, {EVEN_LAST: zone(0)})
    words = page_words(EVEN_PAGE, "quiet", root=root)
    assert words.startswith(f"memmap=2048K${REGION:#x} warmboot.blackbox={EVEN_PAGE:#x} ")
    assert "memmap" not in page_words(EVEN_PAGE, f"memmap=2M${REGION:#x}", root=root)
    assert page_words(0x0C00_0000, "quiet", root=root).startswith("memmap=4K$0xc000000 ")


def test_a_region_that_is_ram_of_the_running_kernel_has_none(tmp_path: Path) -> None:
    root = computer(tmp_path, EVEN, {EVEN_LAST: zone(0)})
    (tmp_path / "proc/iomem").write_text("00100000-3fffffff : System RAM\n  0e000000-0e1fffff : Reserved\n")
    assert ramoops_page(root) == EVEN_PAGE
    assert find_place(root) is None
    looked = look(root)
    assert (looked.found, looked.problems) == ((), ())


@pytest.mark.slow(60)
@pytest.mark.needs_qemu
def test_kexecs_that_fail_and_one_that_does_not() -> None:
    """Marks in CMOS memory; then pages in a region that the page tables for the jump have only because the box is a
    segment; then the log of a kernel that panics, in the same region."""
    with guest_for(modules=["reed_solomon", "ramoops"], kept=f"memmap=2M${REGION:#x}", box=UNEVEN_PAGE) as guest:
        guest.up()
        _by_cmos(guest)
        assert guest.run("insmod /stage/reed_solomon.ko").status == 0
        for sizes, last in (
            *((EVEN, EVEN_LAST), (UNEVEN, UNEVEN_LAST)),
            *((ODD, ODD_LAST), (NO_RECORDS, REGION + 0x1_0000)),
        ):
            _between_zones(guest, sizes, last)
        _a_kexec_that_fails(guest)
        _one_that_does_not(guest)
        _a_panic(guest)


def _by_cmos(guest: BlackBoxGuest) -> None:
    """The kernel shows CMOS memory nowhere."""
    assert guest.run(f"{DAMAGED} --blackbox=cmos").status == 0
    guest.send("kexec -e")
    guest.until_said("the loaded image is damaged at")
    guest.reset()
    guest.up()
    story = json.loads(guest.run("warmboot blackbox --json").text)
    assert (story["stage"], story["where"]) == ("checking", "CMOS memory at 0x70, by its ports")
    assert "relocation done; purgatory: piece " in story["told"]
    assert (story["kernel"], story["causes"][0]["rule"]) == ("/stage/kernel", "digest")
    told = guest.run("warmboot blackbox clear; warmboot blackbox")
    assert "nothing is known of a kexec" in told.text


def _a_kexec_that_fails(guest: BlackBoxGuest) -> None:
    assert guest.run(_ramoops(UNEVEN)).status == 0
    load = guest.run(DAMAGED)
    assert load.status == 0, load.text
    assert f"black box at {UNEVEN_PAGE:#x}; added to the command line: memmap=2048K${REGION:#x} " in load.text
    guest.send("kexec -e")
    guest.until(_differs, "the piece that differs")
    guest.reset()
    guest.up()
    guest.run("rm /var/lib/warmboot/*")  # ramoops alone says where it is
    assert guest.run(f"insmod /stage/reed_solomon.ko; {_ramoops(UNEVEN)}").status == 0
    shown = guest.run("mount -t pstore none /sys/fs/pstore; ls /sys/fs/pstore")
    assert not [each for each in shown.lines if not each.startswith("console-")]  # no log of an oops
    story = json.loads(guest.run("warmboot blackbox --json").text)
    assert (story["stage"], story["piece"]["kind"], story["piece"]["differs"]) == ("checking", "initrd", True)
    assert story["where"] == f"ramoops' region at {UNEVEN_PAGE:#x}, by /dev/mem"
    told = guest.run("warmboot blackbox clear; warmboot blackbox install").text
    assert f"a page for a black box at {UNEVEN_PAGE:#x} (ramoops' region): no words are needed" in told
    assert "warmboot blackbox install --write" in told
    assert guest.run("umount /sys/fs/pstore; rmmod ramoops").status == 0


def _one_that_does_not(guest: BlackBoxGuest) -> None:
    guest.page = LAST_PAGE
    assert guest.run(_ramoops(NO_RECORDS)).status == 0
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


def _a_panic(guest: BlackBoxGuest) -> None:
    """The kernel that was started starts one whose log ramoops keeps, beside the box."""
    guest.write(REGION, bytes(SIZE))
    load = guest.run(f"insmod /stage/reed_solomon.ko; {_ramoops(EVEN)}; kexec -l -d --blackbox={EVEN_PAGE:#x} {WORDS}")
    assert load.status == 0, load.text
    guest.send("kexec -e")
    guest.up()
    assert guest.run(f"insmod /stage/reed_solomon.ko; {_ramoops(EVEN)}").status == 0
    guest.send("exit 7")  # of the first program: a panic, and firmware's boot
    guest.up()
    told = guest.run(f"insmod /stage/reed_solomon.ko; {_ramoops(EVEN)}; mount -t pstore none /sys/fs/pstore")
    assert told.status == 0, told.text
    story = json.loads(guest.run("warmboot blackbox --json").text)
    assert (story["stage"], story["log"]) == ("entering", "/sys/fs/pstore/dmesg-ramoops-0")
    assert "it panicked: Attempted to kill init! exitcode=0x00000700" in story["told"]
    assert any("Attempted to kill init" in each for each in story["last_words"])
    assert (story["address"], story["causes"][0]["rule"]) == (EVEN_PAGE, "no_init")


def _between_zones(guest: BlackBoxGuest, sizes: dict[str, int], last: int) -> None:
    """Linux itself shows where its zones begin: in a region of zeros each has a header and nothing else. The page lies
    in the zone at `last`, or behind it where the region has no records."""
    guest.write(REGION, bytes(SIZE))
    told = guest.run(f"{_ramoops(sizes)} && python3.11 -Bc '{_TELL}'; rmmod ramoops")
    page = int(told.text)
    zones = [REGION + each.start() for each in re.finditer(rb"[^\0]+", guest.read(REGION, SIZE))]
    assert max(each for each in zones if each < page) == last, [hex(each) for each in zones]
    assert not any(page <= each < page + BOX_SIZE for each in zones)


_TELL = "from warmboot.blackbox.place import find_place; print(find_place())"


def _ramoops(sizes: dict[str, int]) -> str:
    words = " ".join(f"{name}={value}" for name, value in {"mem_address": REGION, "mem_size": SIZE, **sizes}.items())
    return f"insmod /stage/ramoops.ko {words}"


def _differs(page: bytes) -> bool:
    box = parse(page)
    return box is not None and box.differs

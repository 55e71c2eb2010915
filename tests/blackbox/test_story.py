"""A black box in words: each stage has its sentence and its causes, whoever booted since."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.blackbox.arrive import clear
from warmboot.blackbox.last_words import LastWords, last_words
from warmboot.blackbox.memory import Found, address_in, in_file, look, pages
from warmboot.blackbox.record import (
    BOX_SIZE,
    BoxSegment,
    Stage,
    Template,
    fresh_box,
    pack_mark,
    pack_template,
    parse,
)
from warmboot.blackbox.state import Loaded, note_call, note_load, read_loads
from warmboot.blackbox.story import Story, told_of
from warmboot.blackbox.this_boot import Start, ThisBoot, this_boot
from warmboot.cli.main import main
from warmboot.errors import InputError, RefusedError
from warmboot.explain.catalog import CATALOG
from warmboot.formats import elf
from warmboot.memmap import Facts
from warmboot.purgatory.cmos import CmosMarks
from warmboot.purgatory.record import DIGEST_FOUND, DIGEST_KIND, DIGEST_WANTED, EXCEPTION, PIECES, WITNESS

NOW = 1_790_000_000.0
ID, OLD_BOOT = bytes(range(16)), bytes([7] * 16)
KERNEL, INITRD = BoxSegment(0x1000000, 0x800000, "kernel"), BoxSegment(0x3000000, 0x4000000, "initrd")
TEMPLATE = Template(
    load_id=ID,
    loaded_at=int((NOW - 720) * 1e9),
    tsc=1000,
    tsc_khz=1_000_000,
    entry=0x1000200,
    purgatory=0x90000,
    running="6.1.0-56-amd64",
    loaded="6.12.117",
    boot_id=OLD_BOOT,
    segments=(KERNEL, INITRD, BoxSegment(0x90000, 0x3000, "purgat")),
)
FIRMWARE = ThisBoot("6.1.0-56-amd64", "ab" * 16, NOW - 300, Start.FIRMWARE)
BY_KEXEC = ThisBoot("6.12.117", "cd" * 16, NOW - 600, Start.KEXEC)
FACTS = Facts.of_pc(1 << 30, cmdline="console=ttyS0")
LINE = "root=/dev/vda1 console=ttyS0 earlycon=uart8250,mmio,0x7ff00800"
NOTES = Loaded(
    load_id=ID.hex(),
    time=NOW - 720,
    boot_id=OLD_BOOT.hex(),
    kernel="/boot/vmlinuz-6.12.117",
    initrds=["/boot/initrd.img"],
    command_line=LINE,
)


OFFSETS = {
    "PIECES": PIECES,
    "DIGEST_WANTED": DIGEST_WANTED,
    "DIGEST_FOUND": DIGEST_FOUND,
    "DIGEST_KIND": DIGEST_KIND,
    "EXCEPTION": EXCEPTION,
    "WITNESS": WITNESS,
}


def box_page(stage: Stage, template: Template = TEMPLATE, **marks: bytes) -> bytes:
    """A page whose last mark is `stage`; `marks` are bytes by the name of their offset."""
    page = bytearray(fresh_box(pack_template(template), Stage.LOADED))
    for number, each in enumerate(range(Stage.PURGATORY, stage + 1)):
        for offset, data in pack_mark(Stage(each), 5_000_000 + 2_000_000 * number):
            page[offset : offset + len(data)] = data
    for offset, data in pack_mark(stage, 9_000_000):
        page[offset : offset + len(data)] = data
    for name, data in marks.items():
        offset = OFFSETS[name]
        page[offset : offset + len(data)] = data
    return bytes(page)


def exception(vector: int, stage: Stage, rip: int, cr2: int = 0, code: bytes = b"") -> bytes:
    registers = [rip, 0x10, 2, 0x9F000, 0x18, 0x80000011, cr2, 0x8000, 0x20, 0x500, *range(15)]
    return struct.pack("<II26Q16s", vector + 1, stage, 0, *registers, code)


def story(page: bytes, boot: ThisBoot = FIRMWARE, notes: Loaded | None = NOTES, facts: Facts | None = FACTS) -> Story:
    box = parse(page)
    assert box is not None
    loads = [notes] if notes is not None else []
    return told_of(Found(box, "a test"), loads, boot, facts=lambda: facts, now=NOW)


DIFFERS = {
    "PIECES": struct.pack("<IIQQ", 36, 101, INITRD.start + (35 << 22), 4 << 20),
    "DIGEST_WANTED": bytes(range(32)),
    "DIGEST_FOUND": bytes(32),
    "DIGEST_KIND": struct.pack("<II", 1, 1),
}
INITRD_AT_35 = replace(TEMPLATE, segments=(KERNEL, BoxSegment(INITRD.start, 400 << 20, "initrd")))


def test_a_piece_that_differs_is_named_with_its_digests() -> None:
    told = story(box_page(Stage.CHECKING, INITRD_AT_35, **DIFFERS))
    expected = (
        "the last kexec, loaded 12 minutes ago, to 6.12.117: relocation done; purgatory: piece 37 of 101 (initrd)"
    )
    assert told.told == f"{expected} differs"
    assert told.failed
    assert told.piece is not None
    assert (told.piece.kind, told.piece.wanted, told.piece.found) == ("initrd", "0706050403020100", "00" * 8)
    assert (told.causes[0].rule, told.causes[0].confidence) == ("digest", "certain")


def test_a_kernel_that_never_printed() -> None:
    told = story(box_page(Stage.ENTERING))
    assert told.told.endswith("entered the kernel at 0x1000200, which never printed")
    assert told.printed is False
    quiet = story(box_page(Stage.ENTERING), notes=replace_notes(command_line="root=/dev/vda1"))
    assert quiet.told.endswith("and nothing was heard of it")
    assert quiet.printed is None
    assert [each.rule for each in quiet.causes] == ["no_console"]


def replace_notes(**members: object) -> Loaded:
    changed: dict[str, Any] = {**NOTES.members(), **members}
    return Loaded(**changed)


@pytest.mark.parametrize(
    ("stage", "words", "rule"),
    [
        (Stage.CALLING, "no mark came after it", "processors_stay"),
        (Stage.RELOCATING, "did not end", "page_list"),
        (Stage.RELOCATED, "the purgatory did not begin", "wrong_entry"),
        (Stage.PURGATORY, "did not come to its checks", "digest"),
        (Stage.CHECKED, "did not come to the kernel", "digest"),
    ],
)
def test_each_stage_has_its_words(stage: Stage, words: str, rule: str) -> None:
    told = story(box_page(stage))
    assert words in told.told
    assert told.failed
    assert told.causes[0].rule == rule


def test_a_kernel_that_printed_and_stopped() -> None:
    told = story(
        box_page(Stage.ENTERING, WITNESS=b"\n"), notes=replace_notes(command_line=f"{LINE} root=UUID=1", initrds=[])
    )
    assert told.printed
    assert "early console" in told.told
    assert [each.rule for each in told.causes][:3] == ["no_root", "boot_console", "panic"]


@pytest.mark.parametrize(
    ("mark", "rule", "sure", "words"),
    [
        (exception(6, Stage.ENTERING, 0x1000300, code=b"\xc5\xfc"), "newer_processor", "likely", "invalid opcode"),
        (exception(13, Stage.ENTERING, 0x5000), "wrong_entry", "likely", "general protection"),
        (exception(14, Stage.RELOCATING, 0x9000, 0x1234000), "page_list", "certain", "page fault at 0x9000"),
        (exception(14, Stage.ENTERING, 0x1000300, 0xDEAD0000), "memory_map", "likely", "address 0xdead0000"),
        (exception(6, Stage.CHECKING, 0x90010), "digest", "likely", "invalid opcode at 0x90010"),
    ],
)
def test_an_exception_is_told_with_its_cause(mark: bytes, rule: str, sure: str, words: str) -> None:
    stage = Stage(struct.unpack_from("<I", mark, 4)[0])
    told = story(box_page(stage, EXCEPTION=mark))
    assert words in told.told
    assert (told.causes[0].rule, told.causes[0].confidence) == (rule, sure)
    assert told.exception is not None
    assert told.exception.registers["rip"] in (0x1000300, 0x5000, 0x9000, 0x90010)


def test_a_kexec_that_arrived_has_no_causes() -> None:
    for page, boot in ((box_page(Stage.ARRIVED), FIRMWARE), (box_page(Stage.ENTERING), BY_KEXEC)):
        told = story(page, boot)
        assert "user space of the new kernel was reached" in told.told
        assert not told.failed
        assert not told.causes


def test_a_load_that_was_not_started_yet() -> None:
    here = replace(FIRMWARE, boot_id=OLD_BOOT.hex())
    assert "is not started yet" in story(box_page(Stage.LOADED), here).told
    assert "is not loaded any more" in story(box_page(Stage.LOADED), replace(here, loaded=False)).told
    assert "nothing shows that it was started" in story(box_page(Stage.LOADED)).told
    called = replace_notes(called=NOW - 30.0)
    assert story(box_page(Stage.LOADED), notes=called).told.startswith("the last kexec, 30 seconds ago, to 6.12.117: ")


def test_a_start_that_failed_or_came_back() -> None:
    here = replace(FIRMWARE, boot_id=OLD_BOOT.hex())
    for page, notes in ((box_page(Stage.LOADED), replace_notes(called=NOW - 30.0)), (called_page(), NOTES)):
        told = story(page, here, notes=notes)
        assert "the kernel that loaded it still runs" in told.told
        assert not told.failed


def called_page() -> bytes:
    page = bytearray(box_page(Stage.LOADED))
    for offset, data in pack_mark(Stage.CALLING):
        page[offset : offset + len(data)] = data
    return bytes(page)


def test_a_watchdog_that_nobody_asked_for_is_a_cause_and_that_of_rescue_is_none() -> None:
    bitten = replace(FIRMWARE, bitten="i6300ESB timer")
    assert "watchdog" in [each.rule for each in story(box_page(Stage.CHECKING), bitten).causes]
    told = story(box_page(Stage.ENTERING), bitten, replace_notes(rescue=300, watchdog="i6300ESB timer"))
    assert "watchdog" not in [each.rule for each in told.causes]
    assert "the watchdog of --rescue (i6300ESB timer) reset it" in told.told


def test_what_was_foreseen_comes_first() -> None:
    notes = replace_notes(foreseen=[["newer_processor", "likely", "CONFIG_X86_NATIVE_CPU"]], efi=False)
    told = story(box_page(Stage.ENTERING), notes=notes, facts=replace(FACTS, efi=True))
    assert [each.rule for each in told.causes][:2] == ["newer_processor", "efi_rsdp"]
    risky = story(box_page(Stage.ENTERING, replace(TEMPLATE, risks=("five_level", "no_such_rule"))), notes=None)
    assert [each.rule for each in risky.causes] == ["five_level"]


@given(st.binary(min_size=BOX_SIZE - 0x400, max_size=BOX_SIZE - 0x400), st.sampled_from([None, NOTES]))
def test_any_marks_make_a_story(marks: bytes, notes: Loaded | None) -> None:
    told = story(fresh_box(pack_template(TEMPLATE))[:0x400] + marks, notes=notes)
    assert told.told.isprintable()
    assert {each.rule for each in told.causes} <= set(CATALOG)


def test_notes_alone_make_a_story() -> None:
    told = told_of(None, [replace_notes(called=NOW - 3600, release="6.12.117")], FIRMWARE, facts=lambda: FACTS, now=NOW)
    assert told.told == "the last kexec, 1 hour ago, to 6.12.117: it was called, and no black box tells how far it came"
    assert "nothing is known" in told_of(None, [], FIRMWARE).told


def test_a_newer_load_without_a_box_is_the_last_one() -> None:
    box = parse(box_page(Stage.ENTERING))
    assert box is not None
    newer = Loaded(load_id="ff", time=NOW - 60, called=NOW - 50, boot_id="1", release="7.2")
    told = told_of(Found(box, "here"), [newer, NOTES], FIRMWARE, facts=lambda: None, now=NOW)
    assert "to 7.2" in told.told
    assert told.where is None


def test_the_order_of_notes_counts_where_the_clock_was_set_back() -> None:
    box = parse(box_page(Stage.ENTERING))
    assert box is not None
    newer = Loaded(load_id="ff", time=NOTES.time - 1e6, called=NOTES.time - 1e6, boot_id="1", release="7.2")
    told = told_of(Found(box, "here"), [newer, NOTES], FIRMWARE, facts=lambda: None, now=NOTES.time - 2e6)
    assert told.told.startswith("the last kexec, some time ago (the clock has been set back since), to 7.2: ")
    assert told.where is None


def test_notes_are_kept_for_root_alone_and_the_newest_first(tmp_path: Path) -> None:
    root = str(tmp_path)
    for number in range(6):
        note_load(replace_notes(load_id=str(number), foreseen=[["digest", "likely", "x"]]), root)
    note_call(root, rescue=300, watchdog="iTCO_wdt", driver="iTCO_wdt")
    loads = read_loads(root)
    assert [each.load_id for each in loads] == ["5", "4", "3", "2"]
    assert (loads[0].rescue, loads[0].watchdog, loads[1].rescue) == (300, "iTCO_wdt", None)
    assert loads[0].called is not None
    path = tmp_path / "var/lib/warmboot/last-kexec.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
)
REQUIRED = ("load_id", "time")
OPTIONAL = dict.fromkeys(NOTES.members().keys() - REQUIRED, JSON)
MEMBERS = st.fixed_dictionaries(dict.fromkeys(REQUIRED, JSON), optional=OPTIONAL)


@given(st.fixed_dictionaries({"version": st.just(1), "loads": st.lists(MEMBERS) | JSON}))
def test_any_notes_are_read(tmp_path_factory: pytest.TempPathFactory, content: object) -> None:
    root = tmp_path_factory.getbasetemp()
    path = root / "var/lib/warmboot/last-kexec.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    for each in read_loads(str(root)):
        assert isinstance(each.command_line, str)


def computer_with(root: Path, page: bytes, line: str, iomem: str, boxes: list[int]) -> str:
    """Its memory is `page` at 0x3000; `boxes` are the addresses in its notes."""
    for name in ("proc", "dev"):
        (root / name).mkdir()
    (root / "proc/cmdline").write_text(line)
    (root / "proc/iomem").write_text(iomem)
    (root / "dev/mem").write_bytes(bytes(0x3000) + page)
    for number, at in enumerate(boxes):
        note_load(Loaded(load_id=str(number), time=NOW, box=at), str(root))
    return str(root)


KEPT_LINE = "quiet memmap=4K$0x3000 warmboot.blackbox=0x3000\n"
IOMEM = "00001000-00002fff : System RAM\n00003000-00003fff : Reserved\nfee00000-fee00fff : Local APIC\n"


def test_where_boxes_are_found(tmp_path: Path) -> None:
    root = computer_with(tmp_path, box_page(Stage.CHECKED), KEPT_LINE, IOMEM, [])
    [found] = look(root).found
    assert (found.address, found.box.stage) == (0x3000, Stage.CHECKED)
    (tmp_path / "dev/mem").write_bytes(bytes(100))
    looked = look(root)
    assert not looked.found
    assert "no such address" in looked.problems[0]
    with pytest.raises(InputError):
        look(root, 0x3000)


def test_only_what_is_reserved_is_read_where_notes_say_so(tmp_path: Path) -> None:
    """Notes may be of another machine: its RAM may be this one's devices."""
    boxes = [0xFEE0_0000, 0x1000, -4096, 1 << 70]
    root = computer_with(tmp_path, box_page(Stage.CHECKED), "quiet\n", IOMEM, boxes)
    assert pages(root) == []
    assert look(root).problems == ()
    note_load(Loaded(load_id="new", time=NOW, box=0x3000), root)
    assert pages(root) == [0x3000]
    with pytest.raises(InputError, match="no such address"):
        look(root, 1 << 70)


def test_notes_that_are_not_ours_to_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = computer_with(tmp_path, box_page(Stage.CHECKED), "quiet\n", IOMEM, [])
    assert look(root).problems == ()
    note_load(NOTES, root)
    assert look(root).problems == ()
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.F_OK)  # as others than root find it
    assert look(root).problems == (f"{root}/var/lib/warmboot/last-kexec.json: permission denied: run it as root",)


def test_without_addresses_nothing_is_read(tmp_path: Path) -> None:
    """What /proc/iomem shows to others than root."""
    hidden = "00000000-00000000 : System RAM\n00000000-00000000 : Reserved\n"
    root = computer_with(tmp_path, box_page(Stage.CHECKED), KEPT_LINE, hidden, [])
    looked = look(root)
    assert not looked.found
    assert looked.problems == (f"{root}/proc/iomem: it shows no addresses: run it as root",)
    with pytest.raises(RefusedError, match="shows no addresses"):
        clear(root)


def test_an_address_on_a_command_line() -> None:
    assert address_in("a warmboot.blackbox=0x7ff00000 b") == 0x7FF00000
    assert address_in("warmboot.blackbox=yes") is None
    assert address_in("-- warmboot.blackbox=0x1000") is None


def test_the_command_reads_a_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "memory"
    copy.write_bytes(b"WBBLACK1" + bytes(9000) + box_page(Stage.CHECKING, INITRD_AT_35, **DIFFERS))
    assert main(["blackbox", "--memory", str(copy)]) == 0
    said = capsys.readouterr().out
    assert "piece 37 of 101 (initrd) differs" in said
    assert "warmboot explain digest" in said
    assert in_file(copy, 9008).box == in_file(copy).box
    assert main(["blackbox", "--memory", str(copy), "--address", "0x10", "--json"]) == 2
    assert "no black box at offset 0x10" in json.loads(capsys.readouterr().out)["verdict"]


def test_who_started_this_kernel(tmp_path: Path) -> None:
    kernel = tmp_path / "proc/sys/kernel"
    kernel.mkdir(parents=True)
    watchdog = tmp_path / "sys/class/watchdog/watchdog0"
    watchdog.mkdir(parents=True)
    (watchdog / "bootstatus").write_text("32\n")
    (watchdog / "identity").write_text("i6300ESB timer\n")
    for number, start in ((0xD0, Start.KEXEC), (0x72, Start.FIRMWARE), (0, Start.UNKNOWN)):
        (kernel / "bootloader_type").write_text(f"{number}\n")
        boot = this_boot(str(tmp_path))
        assert (boot.start, boot.bitten) == (start, "i6300ESB timer")


def log_ring(lines: list[str], first: int) -> bytes:
    """Blocks as printk's ring buffer has them: a number, and a text that ends at a multiple of 8; after the text is
    what printk() leaves: the end of the line as it was before the level was taken away in front."""
    ring = b""
    for number, text in enumerate(lines, first):
        data = text.encode() + text.encode()[-2:] + b"\n\0"
        ring += struct.pack("<Q", number & (1 << 62) - 1) + data.ljust(len(data) + -len(data) % 8, b"\0")
    return ring


def kcore(root: Path, memory: bytes) -> None:
    """A /proc/kcore whose RAM begins at 1 MiB."""
    (root / "proc").mkdir(exist_ok=True)
    load = elf.ProgramHeader(elf.PT_LOAD, 6, 0x1000, 0xFFFF_8880_0010_0000, 0x100000, len(memory), len(memory), 0)
    head = elf.pack_headers(elf.ET_CORE, [load])
    (root / "proc/kcore").write_bytes(head.ljust(0x1000, b"\0") + memory)


DEAD = [
    "Linux version 6.12.117 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP Debian (2026-11-16)",
    "Command line: root=/dev/vda1 console=ttyS0",
    "BIOS-provided physical RAM map:",
    "VFS: Unable to mount root fs on unknown-block(0,0)",
    "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
    "CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.117 #1  Debian 6.12.117-1",
]


def test_the_log_of_a_dead_kernel_is_found_and_not_that_of_the_running_one(tmp_path: Path) -> None:
    ours = [DEAD[0], "Command line: quiet", *(f"line {number}" for number in range(9))]
    memory = bytes(4096) + log_ring(ours, -9).ljust(8192, b"\0") + DEAD[0].encode().ljust(4096, b"\0")
    at = 0x100000 + len(memory)
    memory += log_ring(DEAD, (1 << 62) - 3) + bytes(9000)  # the numbers come round
    kcore(tmp_path, memory)
    found = last_words("6.12.117", "quiet", at + 100, str(tmp_path))
    assert found is not None
    assert (found.where, list(found.lines)) == (f"memory at {at + 8:#x}", DEAD)
    assert last_words("6.12.11", "quiet", 0, str(tmp_path)) is None
    box = parse(box_page(Stage.ENTERING))
    assert box is not None
    notes = replace_notes(command_line="root=/dev/vda1 console=ttyS0")
    told = told_of(Found(box, "here"), [notes], FIRMWARE, facts=lambda: FACTS, words=lambda *_: found, now=NOW)
    assert "it panicked: VFS: Unable to mount root fs" in told.told
    assert (told.causes[0].rule, told.causes[0].confidence) == ("no_root", "likely")


def test_an_empty_line_does_not_end_a_log(tmp_path: Path) -> None:
    kcore(tmp_path, bytes(4096) + log_ring([*DEAD[:4], "", *DEAD[4:]], 7))
    found = last_words("6.12.117", "quiet", 0, str(tmp_path))
    assert found is not None
    assert list(found.lines) == DEAD


def test_the_lines_around_a_panic_are_told() -> None:
    box = parse(box_page(Stage.ENTERING))
    assert box is not None
    log = LastWords("a test", (*(f"line {number}" for number in range(30)), DEAD[4], *("R8: 0",) * 40))
    told = told_of(Found(box, "here"), [NOTES], FIRMWARE, facts=lambda: FACTS, words=lambda *_: log, now=NOW)
    assert told.log == "a test"
    assert told.last_words == (*(f"line {number}" for number in range(24, 30)), DEAD[4], *("R8: 0",) * 5)


CMOS = CmosMarks(Stage.CHECKING, 37, None, ID[:2])


def by_cmos(marks: CmosMarks, loads: list[Loaded], boot: ThisBoot = FIRMWARE) -> Story:
    return told_of(None, loads, boot, facts=lambda: FACTS, cmos=lambda: (marks, "CMOS memory"), now=NOW)


def test_marks_in_cmos_memory_are_told_with_the_notes_of_their_load() -> None:
    told = by_cmos(CMOS, [replace_notes(release="6.12.117")])
    assert told.told == (
        "the last kexec, loaded 12 minutes ago, to 6.12.117: relocation done; purgatory: piece 37 differs"
    )
    assert (told.stage, told.where, told.causes[0].rule, told.causes[0].told) == (
        *("checking", "CMOS memory", "digest"),
        "piece 37 differs",
    )
    caught = by_cmos(replace(CMOS, stage=Stage.ENTERING, piece=0, vector=6), [NOTES])
    assert caught.told.endswith(": entered the kernel, and nothing was heard of it; invalid opcode")
    assert caught.causes[0].rule == "newer_processor"
    well = by_cmos(replace(CMOS, stage=Stage.ENTERING, piece=0), [NOTES], BY_KEXEC)
    assert not well.failed
    assert well.told.endswith("user space of the new kernel was reached")


def test_marks_in_cmos_memory_without_notes_and_of_an_older_load() -> None:
    told = by_cmos(CMOS, [])
    assert told.told.startswith("a load whose id begins with 0001, of which no note is kept: relocation done")
    assert told.failed
    newer = by_cmos(CMOS, [replace_notes(load_id="ff" * 16, called=NOW - 60)])
    assert newer.told.endswith("it was called, and no black box tells how far it came")
    assert (newer.where, newer.stage) == (None, None)


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("vector", [None, 6, 14, 77])
def test_any_marks_in_cmos_memory_have_words(stage: Stage, vector: int | None) -> None:
    for loads in ([], [NOTES]):
        assert by_cmos(CmosMarks(stage, 0, vector, ID[:2]), loads).told


def test_the_end_of_a_log_is_found_where_its_beginning_is_gone(tmp_path: Path) -> None:
    whole = log_ring(DEAD, 7)
    second = len(log_ring(DEAD[:1], 7))
    kcore(tmp_path, bytes(4096) + whole[second:])
    found = last_words("6.12.117", "quiet", 0, str(tmp_path))
    assert found is not None
    assert list(found.lines) == DEAD[1:]
    assert last_words("6.1.0", "quiet", 0, str(tmp_path)) is None


@given(st.binary(max_size=200), st.lists(st.text(st.characters(codec="utf-8"), max_size=30), max_size=4))
def test_any_memory_is_searched(tmp_path_factory: pytest.TempPathFactory, noise: bytes, lines: list[str]) -> None:
    root = tmp_path_factory.getbasetemp()
    kcore(root, log_ring([DEAD[0], *lines], 5) + noise)
    found = last_words("6.12.117", "quiet", 0, str(root))
    assert found is None or found.lines[0] == DEAD[0]


@pytest.mark.parametrize(
    ("line", "counts"), [(LINE, True), (f"{LINE} other", False), (LINE.replace("quiet", "loud") + " x", False)]
)
def test_an_older_kernels_log_is_not_this_ones(line: str, counts: bool) -> None:
    """Memory may still have the log of one before."""
    log = LastWords("a test", ("Linux version 6.12.117 (", f"Command line: {line}", "Unable to mount root fs"))
    found = parse(box_page(Stage.ENTERING))
    assert found is not None
    told = told_of(Found(found, "a test"), [NOTES], FIRMWARE, facts=lambda: FACTS, words=lambda *_: log, now=NOW)
    assert bool(told.last_words) is counts


def test_the_early_console_in_the_box_is_no_console() -> None:
    line = "root=/dev/vda1 earlycon=uart8250,mmio,0xc000800"
    told = story(box_page(Stage.ENTERING, WITNESS=b"\n"), notes=replace_notes(command_line=line))
    assert "no_console" in [each.rule for each in told.causes]


def test_a_log_is_looked_for_since_the_load() -> None:
    """An older kernel of the same release may have left one, too."""
    asked: list[tuple[str, int, float]] = []

    def words(release: str, near: int, since: float) -> None:
        asked.append((release, near, since))

    box = parse(box_page(Stage.ENTERING))
    assert box is not None
    told_of(Found(box, "here"), [NOTES], FIRMWARE, facts=lambda: FACTS, words=words, now=NOW)
    [(release, _, since)] = asked
    assert (release, since) == ("6.12.117", TEMPLATE.loaded_at / 1e9)

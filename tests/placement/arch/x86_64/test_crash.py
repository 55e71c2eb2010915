"""What a crash image has besides a kernel, against kexec-tools on the same made-up computer, byte for byte."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.crash_machine import IOMEM, CrashMachine
from support.kexec_tools import kexec_tools
from support.peer import Load, Piece, captured
from warmboot.dump import DumpFacts
from warmboot.errors import RefusedError
from warmboot.images import identify_bytes
from warmboot.live.computer import read_computer
from warmboot.live.crash import read_dump_facts
from warmboot.memmap import E820Entry, E820Type, Range, whole
from warmboot.placement import Placement, PlaceOptions, Space, place
from warmboot.placement.arch.x86_64.crash import plan_crash
from warmboot.placement.crash import CrashDump, CrashPlan
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.uapi import PAGE_SIZE, KexecFlags, Segment

MIB = 1 << 20
RSDP = 0x7FFD7014


@dataclass(frozen=True)
class Theirs:
    """What kexec-tools loaded, taken apart."""

    load: Load
    headers: Piece
    saved: Piece
    e820: list[E820Entry]
    words: list[str]

    @classmethod
    def of(cls, load: Load) -> Theirs:
        headers = next(each for each in load.segments if each.data[:4] == b"\x7fELF")
        parameters = next(each for each in load.segments if each.data[0x202:0x206] == b"HdrS")
        offset = struct.unpack_from("<Q", headers.data, 64 + 56 * _first_low_load(headers.data) + 8)[0]
        saved = next(each for each in load.segments if each.mem == offset)
        page = parameters.data
        line = struct.unpack_from("<I", page, 0x228)[0] + (struct.unpack_from("<I", page, 0xC8)[0] << 32)
        words = page[line - parameters.mem :].partition(b"\0")[0].decode().split()
        rows = [struct.unpack_from("<QQI", page, 0x2D0 + 20 * number) for number in range(page[0x1E8])]
        return cls(
            load, headers, saved, [E820Entry(Range(at, at + size), E820Type(kind)) for at, size, kind in rows], words
        )


def _first_low_load(headers: bytes) -> int:
    """Number of the program header of the lowest memory."""
    count = struct.unpack_from("<H", headers, 56)[0]
    rows = [struct.unpack_from("<IIQQQ", headers, 64 + 56 * number) for number in range(count)]
    return min((number for number in range(count) if rows[number][0] == 1), key=lambda number: rows[number][4])


def theirs(root: Path, *options: str, suite: str = "bookworm") -> Theirs:
    image = root / "demo"
    image.write_bytes(demo_kernel())
    run = captured([*kexec_tools(suite), "-p", "-c", *options, str(image), "--append=quiet irqpoll"], root)
    assert run.status == 255, run.stderr
    return Theirs.of(run.load)


def ours(root: Path, *, acpi_rsdp: int = 0, hotplug: bool = False, pass_memmap: bool = False) -> CrashPlan:
    dump = CrashDump(read_dump_facts(str(root)), hotplug=hotplug, pass_memmap=pass_memmap)
    return plan_crash(dump, Space([dump.load_range]), acpi_rsdp=acpi_rsdp)


def content(segment: Segment) -> bytes:
    return b"".join(map(bytes, segment.buf.pieces(0, segment.bufsz))).ljust(segment.memsz, b"\0")


def assert_same(plan: CrashPlan, peer: Theirs) -> None:
    assert (plan.headers.mem, plan.headers.memsz) == (peer.headers.mem, peer.headers.memsz)
    assert content(plan.headers) == peer.headers.data.ljust(peer.headers.memsz, b"\0")
    assert plan.saved is not None
    assert (plan.saved.mem, plan.saved.memsz) == (peer.saved.mem, peer.saved.memsz)
    assert not any(peer.saved.data)
    assert plan.command_line.split() == [word for word in peer.words if word not in ("quiet", "irqpoll")]
    assert plan.flags == KexecFlags(peer.load.flags & 0xFFFF)


def usable(e820: Sequence[E820Entry]) -> list[Range]:
    """Whole pages of RAM: kexec-tools leaves the crash kernel the last piece of a page of saved memory."""
    return whole((each.range for each in e820 if each.type is E820Type.RAM), PAGE_SIZE)


def told(e820: Sequence[E820Entry]) -> list[E820Entry]:
    return [each for each in e820 if each.type is not E820Type.RAM]


ONE = "".join(f"{line}\n" for line in IOMEM.splitlines() if line != "  57000000-66ffffff : Crash kernel")
LOW_ONLY = "".join(f"{line}\n" for line in IOMEM.splitlines() if line != "  45f000000-46effffff : Crash kernel")
MACHINES = {
    "two reservations": CrashMachine(),
    "one high": CrashMachine(iomem=ONE),
    "one low": CrashMachine(iomem=LOW_ONLY),
    "whole 640 KiB": CrashMachine(iomem=IOMEM.replace("9fbff", "9ffff").replace("0009fc00-0009ffff : Reserved\n", "")),
    "from 0": CrashMachine(iomem=IOMEM.replace("00000000-00000fff : Reserved\n00001000", "00000000")),
    "one processor": CrashMachine(notes=[(0x7F000000, 1024)]),
    "600 processors": CrashMachine(notes=[(0x400000000 + 0x1000 * number, 368) for number in range(600)]),
    "no vmcoreinfo": CrashMachine(vmcoreinfo=None),
    "no symbols": CrashMachine(kallsyms=False),
    "no hotplug": CrashMachine(elfcorehdr_size=None),
}


@pytest.mark.needs_namespaces
@pytest.mark.parametrize("name", MACHINES)
def test_same_as_kexec_tools(tmp_path: Path, name: str) -> None:
    root = MACHINES[name].write(tmp_path)
    plan, peer = ours(root), theirs(root)
    assert_same(plan, peer)
    assert usable(plan.e820) == usable(peer.e820)
    assert told(plan.e820) == told(peer.e820)


@st.composite
def machines(draw: st.DrawFn) -> CrashMachine:
    """RAM in pieces with odd borders, other memory between them, one or two reservations at an edge or inside."""
    low_end = draw(st.sampled_from([0x9FFFF, 0x9FBFF, 0x9EFFF, 0x9D3FF, 0x57FFF]))
    low = draw(st.sampled_from([0, 0x1000]))
    lines = [f"{low:08x}-{low_end:08x} : System RAM", f"{low_end + 1:08x}-000fffff : Reserved"]
    address, pieces = MIB, draw(st.integers(1, 5))
    room_in = draw(st.sets(st.integers(0, pieces - 1), min_size=1, max_size=2))
    for number in range(pieces):
        size = draw(st.integers(40 * MIB, 1 << 32)) // 1024 * 1024
        lines.append(f"{address:08x}-{address + size - 1:08x} : System RAM")
        if number == 0:
            lines.append(f"  {address:08x}-{address + 4 * MIB - 1:08x} : Kernel code")
        if number in room_in:
            choice = draw(st.sampled_from([4 * MIB, 5 * MIB, size - 32 * MIB]))
            at = (address + choice) // PAGE_SIZE * PAGE_SIZE
            lines.append(f"  {at:08x}-{at + 32 * MIB - 1:08x} : Crash kernel")
        address += size
        for _ in range(draw(st.integers(0, 3))):
            kind = draw(st.sampled_from(["Reserved", "ACPI Tables", "ACPI Non-volatile Storage", "PCI Bus 0000:00"]))
            size = draw(st.integers(1, 64)) * 1024
            lines.append(f"{address:08x}-{address + size - 1:08x} : {kind}")
            address += size
        address += draw(st.sampled_from([0, PAGE_SIZE, 1 << 30]))
    notes = [(0x7F000000 + 0x1000 * each, 368) for each in range(draw(st.integers(1, 40)))]
    vmcoreinfo = draw(st.none() | st.just((0x10F928000, 0x1024)))
    return CrashMachine(iomem="".join(f"{line}\n" for line in lines), notes=notes, vmcoreinfo=vmcoreinfo)


@pytest.mark.needs_namespaces
@settings(max_examples=25)
@given(machines())
def test_same_on_any_machine(tmp_path_factory: pytest.TempPathFactory, machine: CrashMachine) -> None:
    root = machine.write(tmp_path_factory.mktemp("machine"))
    plan, peer = ours(root), theirs(root)
    assert_same(plan, peer)
    assert usable(plan.e820) == usable(peer.e820)
    assert told(plan.e820) == told(peer.e820)


@pytest.mark.needs_namespaces
def test_same_with_hotplug(tmp_path: Path) -> None:
    root = CrashMachine().write(tmp_path)
    plan, peer = ours(root, hotplug=True), theirs(root, "--hotplug", suite="sid")
    assert_same(plan, peer)
    assert plan.headers.memsz == 524288
    assert KexecFlags.UPDATE_ELFCOREHDR in plan.flags
    assert not plan.digest_headers


@pytest.mark.needs_namespaces
def test_same_with_a_memory_map_on_the_command_line(tmp_path: Path) -> None:
    root = CrashMachine().write(tmp_path)
    plan = ours(root, pass_memmap=True)
    assert_same(plan, theirs(root, "--pass-memmap-cmdline"))
    assert plan.e820 == ()


@pytest.mark.needs_namespaces
@pytest.mark.parametrize(
    "machine",
    [CrashMachine(rsdp=RSDP), CrashMachine(systab=f"MPS=0xf0000\nACPI20={RSDP:#x}\nACPI=0x1\nSMBIOS=0xf0480\n")],
    ids=["boot_params", "systab"],
)
def test_same_with_a_root_pointer(tmp_path: Path, machine: CrashMachine) -> None:
    root = machine.write(tmp_path)
    plan = ours(root, acpi_rsdp=RSDP)
    assert_same(plan, theirs(root, suite="sid"))
    assert plan.command_line.startswith(f"acpi_rsdp={RSDP:#x} elfcorehdr=")


@pytest.mark.needs_namespaces
def test_kexec_tools_makes_elf64_headers_whatever_is_asked(tmp_path: Path) -> None:
    """So do we: the addresses of a 64-bit kernel do not fit into 32 bits."""
    root = CrashMachine().write(tmp_path)
    for option in ("--elf32-core-headers", "--elf64-core-headers"):
        assert theirs(root, option).headers.data[:6] == b"\x7fELF\x02\x01"


# --- the whole request ---------------------------------------------------------------------------------------------


def placed(root: Path, **options: bool) -> Placement:
    dump = CrashDump(read_dump_facts(str(root)), **options)
    image = identify_bytes(memoryview(demo_kernel()), "demo")
    return place(image, read_computer(str(root)), PlaceOptions(command_line="quiet irqpoll", crash=dump))


@pytest.mark.needs_namespaces
@pytest.mark.parametrize("option", ["", "hotplug", "pass_memmap"])
def test_the_crash_kernel_is_told_the_same(tmp_path: Path, option: str) -> None:
    root = CrashMachine().write(tmp_path)
    placement = placed(root, **({option: True} if option else {}))
    peer = theirs(
        root,
        *{"": (), "hotplug": ("--hotplug",), "pass_memmap": ("--pass-memmap-cmdline",)}[option],
        suite="sid",
    )
    assert placement.command_line.split() == peer.words
    request = placement.request
    assert request.flags == peer.load.flags
    pieces = tuple(Piece(content(each)[: each.bufsz], each.mem, each.memsz) for each in request.segments)
    told_by_us = Theirs.of(Load(request.entry, request.flags, pieces))
    assert usable(told_by_us.e820) == usable(peer.e820)
    assert told(told_by_us.e820) == told(peer.e820)
    assert told_by_us.headers.data.ljust(4096, b"\0") == peer.headers.data.ljust(4096, b"\0")


def test_the_whole_request_lies_in_the_reservation(tmp_path: Path) -> None:
    placement = placed(CrashMachine().write(tmp_path))
    room = Range(0x45F000000, 0x46F000000)
    assert all(room.contains(Range(each.mem, each.end)) for each in placement.request.segments)


@pytest.mark.parametrize("hotplug", [False, True])
def test_headers_that_may_change_are_not_digested(tmp_path: Path, hotplug: bool) -> None:
    placement = placed(CrashMachine().write(tmp_path), hotplug=hotplug)
    headers = next(each for each in placement.request.segments if each.name == "elfcorehdr")
    assert any(each.start == headers.mem for each in placement.regions) is not hotplug
    saved = next(each for each in placement.request.segments if each.name == "saved low memory")
    assert not any(
        Range(each.start, each.start + each.size).overlaps(Range(saved.mem, saved.end)) for each in placement.regions
    )  # it is filled behind the check


# --- what need not be compared -------------------------------------------------------------------------------------


@pytest.fixture
def facts(tmp_path: Path) -> DumpFacts:
    return read_dump_facts(str(CrashMachine().write(tmp_path)))


def test_the_purgatory_is_told_what_to_save(facts: DumpFacts) -> None:
    plan = plan_crash(CrashDump(facts), Space([facts.reserved[-1]]))
    assert plan.backup is not None
    assert plan.saved is not None
    assert (plan.backup.start, plan.backup.size, plan.backup.copy) == (0x1000, 0x9EC00, plan.saved.mem)


def test_everything_lies_in_the_highest_reservation_and_is_not_its_ram(facts: DumpFacts) -> None:
    dump = CrashDump(facts)
    space = Space([dump.load_range])
    plan = plan_crash(dump, space)
    for segment in plan.segments:
        where = Range(segment.mem, segment.end)
        assert dump.load_range.contains(where)
        assert not any(each.overlaps(where) for each in space.free)
        assert not any(each.range.overlaps(where) for each in plan.e820)


def test_a_machine_without_low_memory_saves_none(facts: DumpFacts) -> None:
    plan = plan_crash(CrashDump(replace(facts, ram=facts.ram[1:])), Space([facts.reserved[-1]]))
    assert (plan.saved, plan.backup) == (None, None)
    assert plan.segments == (plan.headers,)


def test_hotplug_without_the_kernels_help_is_refused(facts: DumpFacts) -> None:
    with pytest.raises(RefusedError, match="crash_elfcorehdr_size"):
        plan_crash(CrashDump(replace(facts, elfcorehdr_size=0), hotplug=True), Space([facts.reserved[-1]]))


def test_headers_grow_beyond_what_the_kernel_asks_for(facts: DumpFacts) -> None:
    few = replace(facts, elfcorehdr_size=512)
    plan = plan_crash(CrashDump(few, hotplug=True), Space([facts.reserved[-1]]))
    assert plan.headers.memsz >= plan.headers.bufsz


@pytest.mark.parametrize(("size", "what"), [(512 << 10, "saved low memory"), (640 << 10, "elfcorehdr")])
def test_a_small_reservation_is_refused_by_name(facts: DumpFacts, size: int, what: str) -> None:
    with pytest.raises(RefusedError, match=what) as caught:
        plan_crash(CrashDump(facts), Space([Range(256 * MIB, 256 * MIB + size)]))
    assert "crashkernel" in caught.value.hint

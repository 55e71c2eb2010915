"""ELF images: where their segments go, and how each of their kinds finds its arguments when it is entered."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.payload32 import FOUND, found32, looking_payload
from warmboot.errors import InputError, RefusedError
from warmboot.images import ElfImage, ElfSegment
from warmboot.machines.machine import Machine
from warmboot.machines.unicorn import execute
from warmboot.memmap import Facts, Range, subtract
from warmboot.placement import Placement, PlaceOptions, place
from warmboot.placement.elf_notes import boot_notes, checksum
from warmboot.placement.segments import _runs, extent
from warmboot.rehearsal.handover import hand_over
from warmboot.uapi import KEXEC_SEGMENT_MAX, PAGE_SIZE, Readable, Segment

MIB, GIB = 1 << 20, 1 << 30
FACTS = Facts.of_pc(256 * MIB)
SEED = bytes(32)


def elf(
    segments: Sequence[tuple[int, bytes, int]], *, bits: int = 64, entry: int | None = None, dynamic: bool = False
) -> ElfImage:
    """An image of (physical address, contents, bytes in memory)."""
    return ElfImage(
        name="an.elf",
        file=memoryview(b""),
        bits=bits,
        entry=segments[0][0] if entry is None else entry,
        segments=tuple(ElfSegment(memoryview(data), at, at, memsz, PAGE_SIZE) for at, data, memsz in segments),
        dynamic=dynamic,
    )


def content(segment: Segment) -> bytes:
    return b"".join(map(bytes, segment.buf.pieces(0, segment.bufsz)))


def named(placement: Placement, name: str) -> list[Segment]:
    return [each for each in placement.request.segments if each.name == name]


def laid_out(placement: Placement) -> dict[int, bytes]:
    """Every page of the image as it will be, by its physical address."""
    pages: dict[int, bytes] = {}
    for each in named(placement, "kernel"):
        data = content(each).ljust(each.memsz, b"\0")
        pages |= {each.mem + at: data[at : at + PAGE_SIZE] for at in range(0, each.memsz, PAGE_SIZE)}
    return pages


@st.composite
def images(draw: st.DrawFn) -> list[tuple[int, bytes, int]]:
    """Up to 6 segments that begin anywhere, in any order; they may share pages, and overlap."""
    found = []
    at = 0x100_0000 + draw(st.sampled_from([0, 0, 1, 0xABC]))
    for number in range(draw(st.integers(1, 6))):
        size = draw(st.sampled_from([0, 1, 100, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 3 * PAGE_SIZE]))
        memsz = size + draw(st.sampled_from([0, 1, PAGE_SIZE, 5 * PAGE_SIZE + 3]))
        found.append((at, bytes([number + 1]) * size, max(memsz, 1)))
        at += max(memsz, 1) + draw(st.sampled_from([0, 0, 5, PAGE_SIZE, -1]))
    return draw(st.permutations(found))


@settings(max_examples=100)
@given(images(), st.booleans(), st.booleans())
def test_every_byte_comes_to_its_address(segments: list[tuple[int, bytes, int]], digest: bool, la57: bool) -> None:
    facts = replace(FACTS, la57=la57)
    options = PlaceOptions(initrds=[memoryview(b"initrd")], rng_seed=SEED, digest="xxh64" if digest else "none")
    placement = place(elf(segments), facts, options)
    request = placement.request
    for number, each in enumerate(request.segments):
        assert each.mem % PAGE_SIZE == each.memsz % PAGE_SIZE == 0
        assert each.bufsz <= each.memsz
        assert subtract([Range(each.mem, each.end)], facts.system_ram) == []
        assert all(each.mem >= other.end for other in request.segments[:number])
    pages = laid_out(placement)
    expected: dict[int, int] = {}  # of each byte: what came last
    for at, data, _ in segments:
        expected |= {at + offset: each for offset, each in enumerate(data)}
    taken = {
        (at + offset) & -PAGE_SIZE for at, _, memsz in segments for offset in (*range(0, memsz, PAGE_SIZE), memsz - 1)
    }
    assert pages.keys() == taken
    for start, page in pages.items():
        assert page == bytes(expected.get(start + offset, 0) for offset in range(PAGE_SIZE))
    assert placement.kernel_entry == segments[0][0]
    assert placement.entry.leave_5_level == la57
    covered = sum(-(-each.bufsz // 64) * 64 for each in request.segments if each.name != "purgatory")
    assert placement.digest_size == covered * digest


def test_what_is_aligned_is_not_copied() -> None:
    data = bytes(5 * PAGE_SIZE)
    placement = place(elf([(0x100_0000, data, len(data)), (0x110_0000, b"a", 2)]), FACTS)
    first, second = named(placement, "kernel")
    assert isinstance(first.buf, Readable)
    assert first.buf.data.obj is data
    assert (second.bufsz, second.memsz) == (1, PAGE_SIZE)


def test_an_image_whose_place_is_taken() -> None:
    taken = replace(FACTS, iomem=FACTS.iomem + "f0000000-f0ffffff : System RAM\n")
    image = elf([(0xF0FF_F000, b"\xf4", 2 * PAGE_SIZE)])
    with pytest.raises(RefusedError, match="must lie at 0xf0fff000-0xf1000fff, which is not free RAM"):
        place(image, taken)
    with pytest.raises(RefusedError, match="must lie at 0x1000000-0x1000fff"):
        place(elf([(0x100_0000, b"\xf4", 1)]), FACTS, PlaceOptions(mem_min=0x100_0001))
    with pytest.raises(RefusedError, match="must lie at 0x1000000-0x1000fff"):
        place(elf([(0x100_0000, b"\xf4", 1)]), FACTS, PlaceOptions(mem_max=0x100_0FFE))
    place(elf([(0x100_0000, b"\xf4", 1)]), FACTS, PlaceOptions(mem_min=0x100_0000))


def test_a_program_that_may_be_moved() -> None:
    image = elf([(0x123, b"\xf4", 1), (0x8000, b"x", 9)], dynamic=True)
    placement = place(image, FACTS)
    first, second = named(placement, "kernel")
    assert (first.mem, second.mem) == (MIB, MIB + 0x8000)
    assert placement.kernel_entry == MIB + 0x123
    assert content(first)[0x123:] == b"\xf4"
    far = elf([(0x100_3000, b"\xf4", 1)], dynamic=True)
    align = replace(far, segments=tuple(replace(each, align=0x10_0000) for each in far.segments))
    assert place(align, FACTS, PlaceOptions(avoid=[Range(0x100_0000, 0x101_0000)])).kernel_entry == 0x10_3000
    there = place(elf([(0x200_0000, b"\xf4", 1)], dynamic=True), FACTS)
    assert there.kernel_entry == 0x200_0000
    with pytest.raises(RefusedError, match="no room for the kernel"):
        place(elf([(0, b"\xf4", GIB)], dynamic=True), FACTS)


def test_more_segments_than_a_kernel_takes() -> None:
    many = [(0x100_0000 + 0x2000 * number, b"x", 1) for number in range(KEXEC_SEGMENT_MAX - 3)]
    assert len(place(elf(many), FACTS, PlaceOptions(initrds=[memoryview(b"i")])).request.segments) == KEXEC_SEGMENT_MAX
    with pytest.raises(RefusedError, match="14 segments"):
        place(elf([*many, (0x200_0000, b"x", 1)]), FACTS)


def looking_64() -> bytes:
    """Hand-assembled: stores rdi and rsi from FOUND on, and halts."""
    code = b"\x48\x89\xf8\x48\xa3" + struct.pack("<Q", FOUND)
    return code + b"\x48\x89\xf0\x48\xa3" + struct.pack("<Q", FOUND + 8) + b"\xf4"


def run(machine: Machine, placement: Placement) -> None:
    """Hand over, and run the image until it halts."""
    machine.kernel.kexec_load(placement.request)
    done = hand_over(machine, placement)
    assert done.reached
    execute(machine.memory, machine.kernel.reboot())


def test_a_64_bit_linux_finds_its_parameters() -> None:
    with Machine(FACTS) as machine:
        placement = place(
            elf([(0x100_0000, looking_64(), 4096)]), machine.facts, PlaceOptions(command_line="a b", rng_seed=SEED)
        )
        run(machine, placement)
        assert struct.unpack("<QQ", machine.memory.read(FOUND, 16)) == (0, placement.boot_params)
        page = machine.memory.read(placement.boot_params, PAGE_SIZE)
        line = machine.memory.read(struct.unpack_from("<I", page, 0x228)[0], 4)
    assert page[0x202:0x206] == b"HdrS"
    assert line == b"a b\0"


def test_a_32_bit_linux_finds_its_parameters() -> None:
    with Machine(Facts.of_pc(6 * GIB)) as machine:
        image = elf([(0x100_0000, looking_payload(), 4096)], bits=32)
        placement = place(image, machine.facts, PlaceOptions(initrds=[memoryview(b"initrd")], rng_seed=SEED))
        run(machine, placement)
        values = found32(machine.memory).values
        assert values["esi"] == placement.boot_params
        assert values["ebx"] == 0
    assert named(placement, "initrd")[0].end <= 0x3800_0000  # what every 32-bit kernel maps


@pytest.mark.parametrize("la57", [False, True])
def test_elf_boot_notes_in_64_bit_mode(la57: bool) -> None:
    with Machine(replace(FACTS, la57=la57)) as machine:
        image = elf([(0x100_0000, looking_64(), 4096)])
        placement = place(image, machine.facts, PlaceOptions(command_line="to be noted", elf_style="elf"))
        run(machine, placement)
        notes, rsi = struct.unpack("<QQ", machine.memory.read(FOUND, 16))
        [segment] = named(placement, "boot notes")
        assert (notes, rsi) == (segment.mem, 0)
        assert machine.memory.read(notes, segment.bufsz) == boot_notes(b"to be noted")


def test_elf_boot_notes_in_32_bit_mode() -> None:
    """The first argument of a function: behind its return address."""
    with Machine(FACTS) as machine:
        image = elf([(0x100_0000, looking_payload(), 4096)], bits=32)
        placement = place(image, machine.facts, PlaceOptions(elf_style="elf"))
        run(machine, placement)
        values = found32(machine.memory).values
        assert (values["stack"], values["argument"]) == (0, named(placement, "boot notes")[0].mem)


def test_what_boot_notes_say() -> None:
    data = boot_notes(b"console=ttyS0")
    signature, size, _, count = struct.unpack_from("<IIHH", data)
    assert (signature, size, count) == (0x0E1FB007, len(data), 3)
    assert checksum(data) == 0
    found, at = {}, 12
    for _ in range(count):
        namesz, descsz, kind = struct.unpack_from("<III", data, at)
        assert namesz == 0
        found[kind] = data[at + 12 : at + 12 + descsz]
        at += 12 + -(-descsz // 4) * 4
    assert at == len(data)
    assert found[2] == b"warmboot\0"  # EBN_BOOTLOADER_NAME
    assert found[4] == b"console=ttyS0\0"  # EBN_COMMAND_LINE
    assert set(found) == {2, 3, 4}


def test_without_arguments_an_image_is_jumped_to() -> None:
    with Machine(FACTS) as machine:
        placement = place(elf([(0x100_0000, looking_64(), 4096)]), machine.facts, PlaceOptions(elf_style="none"))
        assert not placement.has_purgatory
        assert [each.name for each in placement.request.segments] == ["kernel"]
        assert placement.request.entry == 0x100_0000
        run(machine, placement)
        assert struct.unpack("<QQ", machine.memory.read(FOUND, 16)) == (0, 0)


def test_without_arguments_32_bit_code_is_entered_in_its_mode() -> None:
    with Machine(FACTS) as machine:
        placement = place(
            elf([(0x100_0000, looking_payload(), 4096)], bits=32), machine.facts, PlaceOptions(elf_style="none")
        )
        assert placement.has_purgatory
        run(machine, placement)
        values = found32(machine.memory).values
        assert [values[name] for name in ("eax", "ebx", "esi", "argument")] == [0, 0, 0, 0]


def test_an_initrd_needs_a_linux() -> None:
    image = elf([(0x100_0000, b"\xf4", 1)])
    for style in ("elf", "none"):
        with pytest.raises(InputError, match="Ramdisks not supported with generic elf arguments"):
            place(image, FACTS, PlaceOptions(initrds=[memoryview(b"initrd")], elf_style=style))
    with pytest.raises(ValueError, match="elf_style 'other'"):
        place(image, FACTS, PlaceOptions(elf_style="other"))


def test_a_gap_costs_no_memory() -> None:
    """Two pieces in one run of pages, 128 MiB apart: what lies between is zeroed by the kernel, not carried."""
    gap = 128 << 20
    image = elf([(0x100_0000, b"first", gap + 0x1000), (0x100_0000 + gap, b"last", 0x1000)])
    placed = place(image, FACTS)
    first, last = [each for each in placed.request.segments if each.name == "kernel"]
    assert (first.mem, first.bufsz, first.memsz) == (0x100_0000, 5, gap)
    assert (last.mem, last.bufsz, last.memsz) == (0x100_0000 + gap, 4, 0x1000)


@pytest.mark.parametrize("gap", [6 << 30, 100 << 40])
def test_a_gap_beyond_ram_is_refused_before_anything_is_allocated(gap: int) -> None:
    image = elf([(0x100_0000, b"first", gap + 0x1000), (0x100_0000 + gap, b"last", 0x1000)])
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError, match="not free RAM"):
            place(image, FACTS)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@given(st.data())
def test_what_lies_on_top(data: st.DataObject) -> None:
    """Segments in any order that overlap at will: memory as a loader that follows the file would leave it."""
    start = 0x100_0000
    rows = data.draw(
        st.lists(
            st.tuples(st.integers(0, 5 * PAGE_SIZE), st.binary(max_size=3 * PAGE_SIZE), st.integers(1, 9000)),
            min_size=1,
            max_size=6,
        )
    )
    segments = [
        ElfSegment(memoryview(content), start + offset, 0, max(memsz, len(content))) for offset, content, memsz in rows
    ]
    expected = bytearray(20 * PAGE_SIZE)
    for each in segments:
        expected[each.paddr - start : each.paddr - start + each.data.nbytes] = each.data
    found = bytearray(20 * PAGE_SIZE)
    covered: set[int] = set()
    for run in _runs(segments):
        source = run.source()
        content = b"".join(bytes(each) for each in source.pieces(0, source.readable))
        assert len(content) <= run.where.size
        found[run.where.start - start : run.where.start - start + len(content)] = content
        pages = set(range(run.where.start, run.where.end, PAGE_SIZE))
        assert not covered & pages
        covered |= pages
    assert found == expected
    wanted = {page for each in segments for page in range(extent([each]).start, extent([each]).end, PAGE_SIZE)}
    assert covered == wanted

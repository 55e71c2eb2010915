"""Ranges, /proc/iomem, e820 and facts: against sets of addresses, and maps as real machines show them."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.errors import InputError
from warmboot.memmap import (
    E820Entry,
    E820Type,
    Facts,
    Range,
    Resource,
    e820_of_iomem,
    merge,
    parse_iomem,
    parse_size,
    subtract,
    whole,
)

MIB, GIB = 1 << 20, 1 << 30
RAM, RESERVED, ACPI, NVS = E820Type.RAM, E820Type.RESERVED, E820Type.ACPI, E820Type.NVS

# --- ranges --------------------------------------------------------------------------------------------------------

SMALL = st.builds(lambda start, size: Range(start, start + size), st.integers(0, 60), st.integers(0, 20))
SOME = st.lists(SMALL, max_size=8)


def bytes_of(ranges: list[Range]) -> set[int]:
    return {address for each in ranges for address in range(each.start, each.end)}


def is_normal(ranges: list[Range]) -> bool:
    """Sorted, none empty, and none touching the next."""
    return all(each.size for each in ranges) and all(one.end < two.start for one, two in pairwise(ranges))


@given(SOME)
def test_merge_is_the_same_bytes(ranges: list[Range]) -> None:
    merged = merge(ranges)
    assert bytes_of(merged) == bytes_of(ranges)
    assert is_normal(merged)
    assert merge(merged) == merged


@given(SOME, SOME)
def test_subtract_is_the_difference(ranges: list[Range], taken: list[Range]) -> None:
    left = subtract(ranges, taken)
    assert bytes_of(left) == bytes_of(ranges) - bytes_of(taken)
    assert is_normal(left)


@given(SOME, st.sampled_from([1, 2, 8, 16]))
def test_holes_are_whole_blocks(ranges: list[Range], align: int) -> None:
    found = whole(ranges, align)
    assert all(each.start % align == each.end % align == 0 and each.size for each in found)
    blocks = {block for each in ranges for block in range(80 // align + 1) if is_block_in(block, align, each)}
    assert bytes_of(found) == {block * align + offset for block in blocks for offset in range(align)}


def is_block_in(block: int, align: int, where: Range) -> bool:
    return where.contains(Range(block * align, (block + 1) * align))


@given(SMALL, SMALL)
def test_overlaps_and_contains(one: Range, two: Range) -> None:
    common = bytes_of([one]) & bytes_of([two])
    assert one.overlaps(two) == two.overlaps(one)
    if common:
        assert one.overlaps(two)
    elif one.size and two.size:
        assert not one.overlaps(two)
    if two.size:
        assert one.contains(two) == (bytes_of([two]) <= bytes_of([one]))


def test_a_range_in_words() -> None:
    assert str(Range(0x1000, 0x2000)) == "0x1000-0x1fff"
    assert str(Range(0x1000, 0x1000)) == "0x1000 (empty)"
    assert Range(0x1000, 0x3000).size == 0x2000
    with pytest.raises(ValueError, match="cannot end at 0x1"):
        Range(2, 1)


# --- /proc/iomem ---------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["System RAM", "Reserved", "PCI Bus 0000:00", "0000:00:1f.2", "PNP0C09:00", "a : b - c"])
RESOURCES = st.builds(
    lambda start, size, name, depth: Resource(Range(start, start + size), name, depth),
    st.integers(0, 1 << 50),
    st.integers(1, 1 << 40),
    NAMES,
    st.integers(0, 4),
)


@given(st.lists(RESOURCES, max_size=12))
def test_iomem_round_trip(resources: list[Resource]) -> None:
    resources = [each for each in resources if each.range != Range(0, 1)]
    lines = [f"{'  ' * each.depth}{each.range.start:08x}-{each.range.end - 1:08x} : {each.name}" for each in resources]
    assert parse_iomem("\n".join(lines)) == resources
    assert parse_iomem("\n".join(lines) + "\n\n") == resources


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("00-0f : a\nnonsense", "line 2: 'nonsense' is no 'start-end : name'"),
        ("00-0f:a", "line 1"),
        ("00000000-00000fff : ", "line 1"),
        ("10-0f : a", "line 1: ends at 0xf, before its start"),
        ("0-ffffffffffffffff0 : a", "line 1: an address of more than 64 bits"),
        ("00000000-00000000 : System RAM\n  00000000-00000000 : Kernel code", "every address is zero"),
    ],
)
def test_iomem_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(InputError, match="iomem") as caught:
        parse_iomem(text)
    assert message in str(caught.value)
    assert caught.value.hint


# --- real machines -------------------------------------------------------------------------------------------------

BIOS_PC = """\
00000000-00000fff : Reserved
00001000-0009fbff : System RAM
0009fc00-0009ffff : Reserved
000a0000-000bffff : PCI Bus 0000:00
000c0000-000c97ff : Video ROM
000f0000-000fffff : Reserved
  000f0000-000fffff : System ROM
00100000-dfffefff : System RAM
  01000000-01ffffff : Kernel code
  02000000-02ffffff : Kernel rodata
  03000000-03ffffff : Kernel data
  04000000-04ffffff : Kernel bss
dffff000-dfffffff : RAM buffer
e0000000-febfffff : PCI Bus 0000:00
  fd000000-fdffffff : 0000:00:02.0
    fd000000-fdffffff : bochs-drm
fec00000-fec003ff : IOAPIC 0
fee00000-fee00fff : Local APIC
fffc0000-ffffffff : Reserved
100000000-21fffffff : System RAM
"""

EFI_LAPTOP = """\
00000000-00000fff : Reserved
00001000-0009efff : System RAM
0009f000-000fffff : Reserved
  000a0000-000bffff : PCI Bus 0000:00
00100000-2cd90fff : System RAM
  2b000000-2bffffff : Crash kernel
2cd91000-2cd91fff : ACPI Non-volatile Storage
2cd92000-2cd92fff : Reserved
2cd93000-39a8afff : System RAM
39a8b000-39f55fff : Reserved
39f56000-39fd1fff : ACPI Tables
39fd2000-3a44afff : ACPI Non-volatile Storage
  3a001000-3a001fff : USBC000:00
3a44b000-3affdfff : Reserved
3affe000-3affefff : System RAM
3afff000-3fffffff : Reserved
  3b800000-3fffffff : Graphics Stolen Memory
40000000-febfffff : PCI Bus 0000:00
  e0000000-efffffff : PCI MMCONFIG 0000 [bus 00-ff]
    e0000000-efffffff : Reserved
      e0000000-efffffff : pnp 00:05
  fe010000-fe010fff : Reserved
    fe010000-fe010fff : 0000:00:1f.5
fec00000-fec00fff : Reserved
  fec00000-fec003ff : IOAPIC 0
fee00000-fee00fff : Local APIC
  fee00000-fee00fff : Reserved
ff000000-ffffffff : Reserved
100000000-4be7fffff : System RAM
  1b7a00000-1b88031d0 : Kernel code
4be800000-4bfffffff : RAM buffer
"""

CLOUD = """\
00000000-00000fff : Reserved
00001000-0009fbff : System RAM
0009fc00-0009ffff : Reserved
000f0000-000fffff : Reserved
00100000-bfff9fff : System RAM
bfffa000-bfffffff : Reserved
c0000000-febfffff : PCI Bus 0000:00
fffbc000-ffffffff : Reserved
100000000-43fffffff : System RAM
  133000000-133ffffff : Kernel code
440000000-47fffffff : Persistent Memory
  440000000-47fffffff : namespace0.0
480000000-4bfffffff : Soft Reserved
  480000000-4bfffffff : dax0.0
    480000000-4bfffffff : System RAM (kmem)
"""

KDUMP = """\
00001000-0009ffff : System RAM
000f0000-000fffff : Reserved
00100000-7fffffff : System RAM
  6f000000-7effffff : Crash kernel
100000000-87fffffff : System RAM
  200000000-200ffffff : Kernel code
  856000000-875ffffff : Crash kernel
"""

OLD_KERNEL = "00000000-00000fff : reserved\n00001000-0009ffff : System RAM\n00100000-1fffffff : System RAM\n"


def entries(*found: tuple[int, int, E820Type]) -> list[E820Entry]:
    return [E820Entry(Range(start, end), kind) for start, end, kind in found]


MAPS = {
    "BIOS PC": (
        BIOS_PC,
        entries(
            (0, 0x1000, RESERVED),
            (0x1000, 0x9FC00, RAM),
            (0x9FC00, 0xA0000, RESERVED),
            (0xF0000, 0x100000, RESERVED),
            (0x100000, 0xDFFFF000, RAM),
            (0xFFFC0000, 0x100000000, RESERVED),
            (0x100000000, 0x220000000, RAM),
        ),
    ),
    "EFI laptop": (
        EFI_LAPTOP,
        entries(
            (0, 0x1000, RESERVED),
            (0x1000, 0x9F000, RAM),
            (0x9F000, 0x100000, RESERVED),
            (0x100000, 0x2CD91000, RAM),
            (0x2CD91000, 0x2CD92000, NVS),
            (0x2CD92000, 0x2CD93000, RESERVED),
            (0x2CD93000, 0x39A8B000, RAM),
            (0x39A8B000, 0x39F56000, RESERVED),
            (0x39F56000, 0x39FD2000, ACPI),
            (0x39FD2000, 0x3A44B000, NVS),
            (0x3A44B000, 0x3AFFE000, RESERVED),
            (0x3AFFE000, 0x3AFFF000, RAM),
            (0x3AFFF000, 0x40000000, RESERVED),
            # Inside a bus: the kernel trusts its configuration space only where the map reserves it.
            (0xE0000000, 0xF0000000, RESERVED),
            (0xFE010000, 0xFE011000, RESERVED),
            (0xFEC00000, 0xFEC01000, RESERVED),
            (0xFEE00000, 0xFEE01000, RESERVED),
            (0xFF000000, 0x100000000, RESERVED),
            (0x100000000, 0x4BE800000, RAM),
        ),
    ),
    "cloud": (
        CLOUD,
        entries(
            (0, 0x1000, RESERVED),
            (0x1000, 0x9FC00, RAM),
            (0x9FC00, 0xA0000, RESERVED),
            (0xF0000, 0x100000, RESERVED),
            (0x100000, 0xBFFFA000, RAM),
            (0xBFFFA000, 0xC0000000, RESERVED),
            (0xFFFBC000, 0x100000000, RESERVED),
            (0x100000000, 0x440000000, RAM),
            (0x440000000, 0x480000000, E820Type.PMEM),
            (0x480000000, 0x4C0000000, E820Type.SOFT_RESERVED),
        ),
    ),
    "kdump": (
        KDUMP,
        entries(
            (0x1000, 0xA0000, RAM),
            (0xF0000, 0x100000, RESERVED),
            (0x100000, 0x80000000, RAM),
            (0x100000000, 0x880000000, RAM),
        ),
    ),
    "old kernel": (
        OLD_KERNEL,
        entries((0, 0x1000, RESERVED), (0x1000, 0xA0000, RAM), (0x100000, 0x20000000, RAM)),
    ),
}


@pytest.mark.parametrize("name", MAPS)
def test_the_memory_map_behind_iomem(name: str) -> None:
    text, expected = MAPS[name]
    assert e820_of_iomem(parse_iomem(text)) == expected


def test_overlapping_entries_are_refused() -> None:
    with pytest.raises(InputError, match="0x1000-0x2fff and 0x2000-0x3fff overlap"):
        e820_of_iomem(parse_iomem("1000-2fff : System RAM\n2000-3fff : Reserved\n"))


@given(st.integers(0, 2**64 - 1), st.integers(1, 2**40), st.sampled_from(E820Type))
def test_an_entry_is_20_bytes(start: int, size: int, kind: E820Type) -> None:
    packed = E820Entry(Range(start, start + size), kind).pack()
    assert struct.unpack("<QQI", packed) == (start, size, kind)
    assert len(packed) == 20


def facts_of(iomem: str) -> Facts:
    return replace(Facts.of_pc(GIB), iomem=iomem)


def test_crash_reservations_and_the_running_kernel() -> None:
    facts = facts_of(KDUMP)
    assert facts.crash_kernel == [Range(0x6F000000, 0x7F000000), Range(0x856000000, 0x876000000)]
    assert facts.kernel_image == [Range(0x200000000, 0x201000000)]
    for taken in (*facts.crash_kernel, *facts.kernel_image, Range(0, MIB)):
        assert not any(each.overlaps(taken) for each in facts.allocatable)
    assert facts_of(OLD_KERNEL).crash_kernel == []
    assert len(facts_of(BIOS_PC).kernel_image) == 4


# --- facts ---------------------------------------------------------------------------------------------------------

PAGE = 4096
ROOMS = st.builds(
    lambda start, size: Range(start * PAGE, (start + size) * PAGE), st.integers(1, 1 << 20), st.integers(1, 1 << 14)
)


@pytest.mark.parametrize("name", MAPS)
@given(room=ROOMS)
def test_reserve_keeps_all_else(name: str, room: Range) -> None:
    facts = facts_of(MAPS[name][0])
    changed = facts.reserve(room)

    def outside(each: Range) -> list[Range]:
        return subtract([each], [room])

    for kind in E820Type:
        before = [piece for entry in facts.e820 if entry.type is kind for piece in outside(entry.range)]
        after = [piece for entry in changed.e820 if entry.type is kind for piece in outside(entry.range)]
        assert merge(after) == merge(before)
    covering = [entry for entry in changed.e820 if entry.range.overlaps(room)]
    assert [(entry.range, entry.type) for entry in covering] == [(room, RESERVED)]
    for resource in facts.resources:
        pieces = [each.range for each in changed.resources if each.name == resource.name]
        assert all(any(piece.contains(part) for piece in merge(pieces)) for part in outside(resource.range))
    for old, new in ((facts.crash_kernel, changed.crash_kernel), (facts.kernel_image, changed.kernel_image)):
        assert merge(new) == subtract(old, [room])
    lost = sum(each.size for each in facts.system_ram) - sum(each.size for each in changed.system_ram)
    assert changed.totalram_pages == max(1, facts.totalram_pages - lost // PAGE)
    unchanged = {name: value for name, value in asdict(facts).items() if name not in ("iomem", "totalram_pages")}
    assert unchanged.items() <= asdict(changed).items()
    assert changed.reserve(room) == changed


@pytest.mark.parametrize("name", MAPS)
def test_facts_round_trip(name: str) -> None:
    facts = replace(facts_of(MAPS[name][0]), cpus=7, rsdp=0xE0000, la57=True, lockdown="none [integrity]")
    assert Facts.from_json(facts.to_json()) == facts
    grown = {"kind": "facts", "facts": {**json.loads(facts.to_json()), "something_new": [1]}}
    assert Facts.from_json(json.dumps(grown).encode()) == facts
    assert facts.lockdown_mode == "integrity"


def test_facts_may_lack_what_came_later() -> None:
    members = json.loads(facts_of(KDUMP).to_json())
    for name in list(members)[9:]:
        del members[name]
    facts = Facts.from_json(json.dumps(members))
    assert (facts.cpus, facts.rsdp, facts.gbpages, facts.kexec_load_limit_reboot) == (1, 0, True, -1)


@given(st.integers(64, 64 << 10).map(lambda size: size * MIB), st.sampled_from([0, 16, 48, 1024]))
def test_a_plain_pc(memory: int, crash: int) -> None:
    if crash * MIB + 32 * MIB > min(memory, 2 * GIB):
        return
    facts = Facts.of_pc(memory, crashkernel=crash * MIB)
    ram = sum(each.size for each in facts.system_ram)
    assert 0 <= memory - ram <= MIB
    assert max(each.end for each in facts.system_ram if each.end <= 4 * GIB) <= 2 * GIB
    assert sum(each.size for each in facts.crash_kernel) == crash * MIB
    assert all(each.start % (16 * MIB) == 0 for each in facts.crash_kernel)
    assert facts.totalram_pages == (ram - crash * MIB) // PAGE


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("0", 0), ("1", 1), ("4096", 4096), ("64k", 64 << 10), ("512M", 512 * MIB), ("1T", 1 << 40)),
        *(("0x10", 16), ("0x2G", 2 * GIB), ("0x1000000a", 0x1000000A), ("0XfM", 15 * MIB)),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "M", "-1", "+1", "1.5G", "1X", "1MM", "1 M", "1_0", "\u0663M", "9" * 30, "0x", "\n"]
)
def test_no_sizes(text: str) -> None:
    with pytest.raises(InputError, match="is no size"):
        parse_size(text)

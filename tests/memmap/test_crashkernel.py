"""crashkernel= as Linux's documentation writes it, and what is reserved for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.errors import InputError
from warmboot.memmap import Facts, Range
from warmboot.memmap.arch import of
from warmboot.memmap.crashkernel import CrashKernel, parse_crashkernel, reserve, with_crash_kernel, without_reservation

MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("256M", CrashKernel(((0, None, 256 * MIB),))),
        ("64M@16M", CrashKernel(((0, None, 64 * MIB),), base=16 * MIB)),
        ("512M,high", CrashKernel(((0, None, 512 * MIB),), where="high")),
        ("0x8000000,low", CrashKernel(((0, None, 128 * MIB),), where="low")),
        # Documentation/admin-guide/kdump/kdump.rst
        ("512M-2G:64M,2G-:128M", CrashKernel(((512 * MIB, 2 * GIB, 64 * MIB), (2 * GIB, None, 128 * MIB)))),
        ("0-:1M@64K", CrashKernel(((0, None, MIB),), base=64 << 10)),
    ],
)
def test_what_linux_takes(text: str, meaning: CrashKernel) -> None:
    assert parse_crashkernel(text) == meaning


@pytest.mark.parametrize(
    "text", ["", "auto", "-1M", "1X", "512M-2G:", "512M:64M", "2G-512M:64M", "64M@", "64M,top", ",high", "9" * 5000]
)
def test_what_it_does_not(text: str) -> None:
    with pytest.raises(InputError, match="crashkernel") as caught:
        parse_crashkernel(text)
    assert "512M-2G:64M" in caught.value.hint


@pytest.mark.parametrize(
    ("memory", "size"), [(511 * MIB, 64 * MIB), (384 * MIB, 0), (2 * GIB - 128 * MIB, 64 * MIB), (2 * GIB, 128 * MIB)]
)
def test_the_size_goes_by_the_machines_memory(memory: int, size: int) -> None:
    """Rounded up to 128 MiB, as firmware takes a part."""
    assert parse_crashkernel("512M-2G:64M,2G-:128M").size(memory) == size


def reserved(facts: Facts, *texts: str) -> list[Range]:
    return with_crash_kernel(facts, [parse_crashkernel(each) for each in texts]).crash_kernel


def test_below_4_gib_as_high_as_it_goes() -> None:
    facts = Facts.of_pc(8 * GIB)
    assert reserved(facts, "256M") == [Range(2 * GIB - 256 * MIB, 2 * GIB)]
    assert with_crash_kernel(facts, [parse_crashkernel("256M")]) == Facts.of_pc(8 * GIB, crashkernel=256 * MIB)


def test_a_high_one_has_a_low_one_beside_it() -> None:
    facts = Facts.of_pc(8 * GIB)
    high = Range(10 * GIB - 512 * MIB, 10 * GIB)
    assert reserved(facts, "512M,high") == [Range(2 * GIB - 256 * MIB, 2 * GIB), high]
    assert reserved(facts, "512M,high", "64M,low") == [Range(2 * GIB - 64 * MIB, 2 * GIB), high]
    assert reserved(facts, "512M,high", "0,low") == [high]
    assert reserved(Facts.of_pc(GIB), "256M,high") == [Range(GIB - 256 * MIB, GIB)]  # there is nothing above 4 GiB


def test_one_too_large_for_low_memory_goes_above_4_gib() -> None:
    assert reserved(Facts.of_pc(8 * GIB), "3G") == [
        Range(2 * GIB - 256 * MIB, 2 * GIB),
        Range(7 * GIB, 10 * GIB),
    ]


def test_a_fixed_place_and_none() -> None:
    assert reserved(Facts.of_pc(GIB), "64M@32M") == [Range(32 * MIB, 96 * MIB)]
    assert reserved(Facts.of_pc(GIB), "2G-:128M") == []
    for texts in (["64M@1000M"], ["2G"], ["64M,low"], ["16777217"]):
        with pytest.raises(InputError, match="crash"):
            reserved(Facts.of_pc(GIB), *texts)


@given(st.integers(64, 1 << 16), st.integers(1, 1 << 15), st.sampled_from(["", ",high"]))
def test_what_is_reserved_is_ram_that_was_free(memory: int, size: int, where: str) -> None:
    facts = Facts.of_pc(memory * MIB)
    free = facts.allocatable
    try:
        found = reserve([parse_crashkernel(f"{size}M{where}")], memory * MIB, free, of("x86_64").crash_reservation)
    except InputError:
        return
    assert found[-1].size == size * MIB
    for each in found:
        assert any(inside.start <= each.start and each.end <= inside.end for inside in free)


def test_a_reservation_is_taken_away_again() -> None:
    plain = Facts.of_pc(1 << 30)
    reserved = with_crash_kernel(plain, [parse_crashkernel("256M")])
    again = without_reservation(reserved)
    assert again.iomem == plain.iomem
    assert (again.totalram_pages, again.crash_kernel) == (plain.totalram_pages, [])

"""What is unpacked before a load: the kernel inside real bzImages with its relocations, and initial RAM disks."""

from __future__ import annotations

import gzip
import lzma
import struct
from array import array
from dataclasses import replace

import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from warmboot.debian import cpio, kernel
from warmboot.errors import InputError, RefusedError
from warmboot.images import BzImage, identify
from warmboot.images.bzimage import XLoadFlags
from warmboot.images.initrds import unpacked_initrd
from warmboot.images.relocs import Relocations, parse_relocations
from warmboot.images.unpack import parts_named, unpack
from warmboot.images.vmlinux import UnpackedLinux, unpacked_linux
from warmboot.memmap import Facts
from warmboot.placement import PlaceOptions, place

MIB = 1 << 20
START = 16 * MIB  # CONFIG_PHYSICAL_START of every distribution
BIAS = 0x8000_0000 + START


def linux(series: str) -> UnpackedLinux:
    image = identify(kernel(series))
    assert isinstance(image, BzImage)
    return unpacked_linux(image)


@pytest.mark.parametrize("series", ["5.10", "6.1", "6.12", "7.2"])
def test_the_relocations_of_real_kernels_are_addresses_in_them(series: str) -> None:
    """Each place that is to be changed holds an address of the kernel, or an offset of the other way round."""
    image = linux(series)
    assert image.inner.start == image.packed.pref_address == START
    assert image.version == image.packed.version
    relocations = image.relocations
    assert relocations is not None
    assert relocations.count > 100_000
    assert bool(relocations.subtract_32) == (series != "7.2")  # Linux 6.15 needs none of them any more
    data = bytearray(image.inner.end - START)
    for each in image.inner.segments:
        data[each.paddr - START : each.paddr - START + each.data.nbytes] = each.data
    text = range(0x8000_0000, 0xC000_0000)
    wide = (struct.unpack_from("<Q", data, place - BIAS)[0] - 0xFFFF_FFFF_0000_0000 for place in relocations.add_64)
    narrow = (struct.unpack_from("<I", data, place - BIAS)[0] for place in relocations.add_32)
    wrong = sum(each not in text for values in (wide, narrow) for each in values)
    assert wrong < relocations.count / 100  # a few are a symbol and a large constant
    before = bytes(data)
    relocations.apply(memoryview(data), START, 64 * MIB, image.name)
    assert data != before
    relocations.apply(memoryview(data), START, -64 * MIB, image.name)
    assert data == before


@pytest.mark.parametrize("series", ["5.10", "7.2"])
def test_every_place_that_chance_may_choose_is_right(series: str) -> None:
    """At both ends, and with nokaslr where its own decompressor would leave it."""
    image, machine = linux(series), Facts.of_pc(1 << 30)
    initrd = memoryview(bytes(300 * MIB))

    def placed(line: str, slot: int) -> tuple[int, int, int]:
        options = PlaceOptions(
            initrds=[initrd], command_line=line, slot=lambda places: slot % places, hashed=False, rng_seed=b""
        )
        done = place(image, machine, options)
        assert done.kaslr is not None
        [parameters] = [each for each in done.request.segments if each.name == "boot parameters"]
        [zero_page] = parameters.buf.pieces(0, parameters.bufsz)
        assert bool(zero_page[0x211] & 0x02) == ("nokaslr" not in line)  # KASLR_FLAG
        assert done.kernel.memsz >= image.packed.init_size
        assert done.kernel_entry - done.kernel.mem == image.inner.entry - START
        return done.kernel.mem, done.kaslr.physical, done.kaslr.virtual

    first, places, virtual = placed("", 0)
    last, again, _ = placed("", -1)
    assert first == START
    assert places == again
    assert virtual == 1 + ((1 << 30) - START - -(-image.packed.init_size // 4096) * 4096) // (2 * MIB)
    assert first < last < 1 << 30
    assert last % (2 * MIB) == 0
    assert placed("nokaslr", -1) == (START, 1, 1)
    assert placed("mem=800M", -1)[:2] == (START, 1)  # its decompressor would stay below


@pytest.mark.parametrize("la57", [True, False])
@pytest.mark.parametrize("line", ["", "no5lvl"])
@pytest.mark.parametrize("enabled", [True, False])
def test_the_levels_of_page_tables_are_what_its_decompressor_would_choose(la57: bool, line: str, enabled: bool) -> None:
    image = linux("6.12")
    if not enabled:  # built without CONFIG_X86_5LEVEL: only its decompressor can be entered with 5
        flags = image.packed.xloadflags & ~XLoadFlags.FIVE_LEVEL_ENABLED
        image = replace(image, packed=replace(image.packed, xloadflags=flags))
    machine = replace(Facts.of_pc(1 << 30), la57=la57)
    entry = place(image, machine, PlaceOptions(command_line=line, hashed=False, rng_seed=b"")).entry
    five = enabled and not line
    assert (entry.leave_5_level, entry.enter_5_level) == (la57 and not five, five and not la57)


def test_levels_are_left_as_they_are_where_the_purgatory_lies_too_high() -> None:
    options = PlaceOptions(hashed=False, rng_seed=b"", mem_min=4 << 30)
    entry = place(linux("6.12"), Facts.of_pc(6 << 30), options).entry
    assert not entry.needs_low_purgatory


@given(st.lists(st.integers(1, 2**32 - 1)), st.lists(st.integers(1, 2**32 - 1)), st.lists(st.integers(1, 2**32 - 1)))
def test_both_layouts_of_the_table_are_read(wide: list[int], inverse: list[int], narrow: list[int]) -> None:
    old = array("I", [0, *wide, 0, *inverse, 0, *narrow])
    new = array("I", [0, *wide, 0, *narrow])
    lists = (array("I", each) for each in (wide, inverse, narrow))
    assert parse_relocations(memoryview(old).cast("B"), "k") == Relocations(*lists)
    assert parse_relocations(memoryview(new).cast("B"), "k") == Relocations(
        array("I", wide), array("I"), array("I", narrow)
    )


@given(st.binary(max_size=64))
def test_any_other_table_is_refused(data: bytes) -> None:
    try:
        found = parse_relocations(memoryview(data), "k")
    except InputError:
        return
    assert (found is None) == (not data)


def test_a_relocation_outside_changes_nothing() -> None:
    data = bytearray(64)
    for wrong in (BIAS - 1, BIAS + 61):
        with pytest.raises(InputError, match="outside"):
            Relocations([], [BIAS], [wrong]).apply(memoryview(data), START, 4096, "k")
    assert not any(data)


ARCHIVE = cpio.archive([cpio.file("init", b"#!/bin/sh\n" * 500)])
MICROCODE = cpio.archive([cpio.file("kernel/x86/microcode/AuthenticAMD.bin", b"\1" * 999)])
PACKERS = {
    "gzip": gzip.compress,
    "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    "zstd": zstandard.compress,
    "lz4": lz4.frame.compress,
}


@pytest.mark.parametrize("method", PACKERS)
@pytest.mark.parametrize("before", [b"", MICROCODE, MICROCODE + bytes(508)])
def test_what_is_packed_behind_plain_archives_is_unpacked(method: str, before: bytes) -> None:
    done = unpacked_initrd(memoryview(before + PACKERS[method](ARCHIVE)), "initrd", MIB)
    assert list(done.methods) == [method]
    assert b"".join(done.parts) == before + ARCHIVE


def test_what_is_not_packed_or_no_archive_stays_as_it_is() -> None:
    for data in (ARCHIVE, MICROCODE + ARCHIVE + bytes(7), gzip.compress(b"no archive"), b"BZh91AY&SY"):
        done = unpacked_initrd(memoryview(data), "initrd", MIB)
        assert not done.methods
        assert b"".join(done.parts) == data


@given(st.binary(max_size=300), st.integers(0, 2000))
def test_a_damaged_initrd_is_told_as_one(noise: bytes, cut: int) -> None:
    for data in (noise, (MICROCODE + gzip.compress(ARCHIVE))[:cut] + noise):
        try:
            done = unpacked_initrd(memoryview(data), "initrd", MIB)
        except (InputError, RefusedError):
            continue
        assert done.methods or b"".join(done.parts) == data


def test_an_initrd_too_large_for_the_machine_stays_packed_and_that_is_told() -> None:
    packed = memoryview(gzip.compress(cpio.archive([cpio.file("zeros", bytes(3 * MIB))])))
    image = linux("6.1").packed
    tight = unpack({"initrd"}, image, [packed], 8 * MIB)
    assert list(tight.initrds) == [packed]
    assert "stays packed" in tight.told[0]
    assert sum(map(len, unpack({"initrd"}, image, [packed], 64 * MIB).initrds)) > 3 * MIB


def test_what_may_be_named() -> None:
    assert parts_named("kernel,initrd") == {"kernel", "initrd"}
    for wrong in ("", "kernels", "kernel,,initrd"):
        with pytest.raises(InputError):
            parts_named(wrong)

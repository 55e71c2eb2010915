"""Placement on any machine, and struct boot_params read back by the offsets of zero-page.rst."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from warmboot.errors import InputError, RefusedError
from warmboot.images import BzImage, LoadFlags, XLoadFlags, identify_bytes
from warmboot.memmap import E820Entry, E820Type, Facts, Range, subtract
from warmboot.placement import BootParams, Placement, Space, place
from warmboot.purgatory import demo_kernel
from warmboot.uapi import KEXEC_SEGMENT_MAX, PAGE_SIZE, Segment

MIB, GIB = 1 << 20, 1 << 30
IMAGE = identify_bytes(memoryview(demo_kernel()), "demo")
SEED = bytes(range(32))


def facts_of(*lines: str) -> Facts:
    return replace(Facts.of_pc(GIB), iomem="".join(f"{line}\n" for line in lines))


def content(segment: Segment) -> bytes:
    return b"".join(map(bytes, segment.buf.pieces(0, segment.bufsz)))


def where(segment: Segment) -> Range:
    return Range(segment.mem, segment.end)


def named(placement: Placement, name: str) -> Segment:
    return next(each for each in placement.request.segments if each.name == name)


# --- machines of all kinds -----------------------------------------------------------------------------------------


@st.composite
def machines(draw: st.DrawFn) -> Facts:
    """Pieces of RAM below and above 4 GiB, with gaps and odd borders, a crash reservation or two."""
    lines = ["00001000-0009fbff : System RAM"]
    address = MIB
    for _ in range(draw(st.integers(1, 6))):
        address += draw(st.integers(0, 64 * MIB))
        size = draw(st.integers(PAGE_SIZE, 512 * MIB))
        if address + size > 3 * GIB:
            break
        lines.append(f"{address:x}-{address + size - 1:x} : System RAM")
        if size > 64 * MIB and draw(st.booleans()):
            start = address + draw(st.integers(0, 32)) * MIB
            lines.append(f"  {start:x}-{start + 16 * MIB - 1:x} : Crash kernel")
        address += size
        lines.append(f"{address:x}-{address + 0xFFF:x} : Reserved")
        address += 0x1000
    if draw(st.booleans()):
        lines.append(f"100000000-{4 * GIB + draw(st.integers(PAGE_SIZE, 8 * GIB)) - 1:x} : System RAM")
    return facts_of(*lines)


IMAGES = st.builds(
    lambda pref, align, init, above, relocatable: replace(
        IMAGE,
        pref_address=pref,
        kernel_alignment=1 << align,
        init_size=max(init, IMAGE.kernel.nbytes),
        xloadflags=XLoadFlags.KERNEL_64 | (XLoadFlags.CAN_BE_LOADED_ABOVE_4G if above else XLoadFlags(0)),
        relocatable=relocatable,
    ),
    st.sampled_from([0x100000, 0x1000000, 0x1000100, 0x20000000, 0x180000000, 2**64 - 4096]),
    st.integers(0, 24),
    st.integers(0, 96 * MIB),
    st.booleans(),
    st.booleans(),
)


@settings(max_examples=400, deadline=None)
@given(facts=machines(), image=IMAGES, initrd_size=st.integers(0, 3 * MIB), avoid=st.integers(0, 900))
def test_every_placement_is_sound(facts: Facts, image: BzImage, initrd_size: int, avoid: int) -> None:
    taken = Range(avoid * MIB, avoid * MIB + 8 * MIB)
    initrds = [memoryview(bytes(initrd_size))] if initrd_size else []
    forbidden = [Range(0, MIB), *facts.crash_kernel, taken]
    try:
        placement = place(image, facts, initrds=initrds, command_line="quiet", avoid=[taken], rng_seed=SEED)
    except RefusedError:
        return  # what is refused, and why, is the matter of other tests

    request = placement.request
    assert len(request.segments) == 3 + bool(initrd_size) <= KEXEC_SEGMENT_MAX
    assert [each.mem for each in request.segments] == sorted(each.mem for each in request.segments)
    for number, each in enumerate(request.segments):
        assert each.mem % PAGE_SIZE == each.memsz % PAGE_SIZE == 0
        assert 0 < each.bufsz <= each.memsz
        assert each.buf.readable == each.bufsz
        assert subtract([where(each)], facts.system_ram) == []
        assert not any(where(each).overlaps(other) for other in forbidden)
        assert not any(where(each).overlaps(where(other)) for other in request.segments[:number])

    kernel = named(placement, "kernel")
    preferred = Range(image.pref_address, image.pref_address + -(-image.init_size // PAGE_SIZE) * PAGE_SIZE)
    free = subtract(facts.system_ram, forbidden)
    limit = 2**64 if image.above_4g else 4 * GIB
    is_free = any(each.contains(preferred) for each in free) and image.pref_address % PAGE_SIZE == 0
    if is_free and preferred.end <= limit:
        assert kernel.mem == image.pref_address
    else:
        assert image.relocatable
        assert kernel.mem % image.kernel_alignment == 0
    assert kernel.memsz >= image.init_size
    assert content(kernel) == bytes(image.kernel)
    assert placement.kernel_entry == kernel.mem + 0x200
    if not image.above_4g:
        assert all(each.end <= 4 * GIB for each in request.segments)
    assert named(placement, "purgatory").end <= 4 * GIB
    assert named(placement, "boot parameters").end <= 4 * GIB
    assert where(named(placement, "purgatory")).contains(Range(request.entry, request.entry + 1))

    digest = hashlib.sha256()
    for each in request.segments:
        if each.name != "purgatory":
            data = content(each)
            digest.update(data + bytes(-len(data) % 64))
    assert placement.sha256 == digest.digest()


def test_the_preferred_place_is_left_where_it_is_taken() -> None:
    facts = facts_of("00100000-017fffff : System RAM", "01800000-01800fff : Reserved", "01801000-3fffffff : System RAM")
    large = replace(IMAGE, init_size=16 * MIB)
    assert named(place(large, facts), "kernel").mem == 0x1A00000  # above, aligned to 2 MiB
    with pytest.raises(RefusedError, match="not relocatable, and 0x1000000-0x1ffffff is not free RAM"):
        place(replace(large, relocatable=False), facts)
    below = facts_of("00100000-00ffffff : System RAM")
    with pytest.raises(RefusedError, match="from 0x1000000 up, the largest free range there has 0"):
        # Below its preferred address it would move itself up, over what is not RAM.
        place(replace(IMAGE, init_size=4 * MIB), below)


def test_a_kernel_that_may_goes_above_4_gib() -> None:
    facts = facts_of("00100000-01ffffff : System RAM", "100000000-1ffffffff : System RAM")
    large = replace(IMAGE, init_size=64 * MIB)
    initrd = memoryview(bytes(32 * MIB))
    placement = place(large, facts, initrds=[initrd])
    assert named(placement, "kernel").mem == 4 * GIB
    assert named(placement, "initrd").end == 8 * GIB
    assert named(placement, "boot parameters").end <= 32 * MIB
    with pytest.raises(RefusedError, match="no room for the kernel: 67108864 bytes in one piece"):
        place(replace(large, xloadflags=XLoadFlags.KERNEL_64), facts)


def test_an_initrd_stays_below_the_kernels_limit() -> None:
    facts = facts_of("00100000-bfffffff : System RAM")
    initrd = memoryview(bytes(MIB))
    assert named(place(IMAGE, facts, initrds=[initrd]), "initrd").end == 0x80000000
    low = replace(IMAGE, initrd_addr_max=0x37FFFFFF)
    assert named(place(low, facts, initrds=[initrd]), "initrd").end == 0x38000000


def test_several_initrds_are_joined_at_multiples_of_4() -> None:
    parts = [memoryview(b"abcde"), memoryview(b"fg"), memoryview(b"hij")]
    initrd = named(place(IMAGE, Facts.of_pc(GIB), initrds=parts), "initrd")
    assert content(initrd) == b"abcde\0\0\0fg\0\0hij"


def test_a_seed_is_fresh_by_default() -> None:
    one, two = place(IMAGE, Facts.of_pc(GIB)), place(IMAGE, Facts.of_pc(GIB))
    assert one.sha256 != two.sha256


def test_the_command_lines_limit() -> None:
    facts = Facts.of_pc(GIB)
    assert place(IMAGE, facts, command_line="a" * 2047).command_line == "a" * 2047
    place(IMAGE, facts, command_line="\udcff" * 2047)
    for line, message in (("a" * 2048, "has 2048 bytes, demo takes 2047"), ("\u20ac" * 700, "2100"), ("\0", "zero")):
        with pytest.raises(InputError, match=message):
            place(IMAGE, facts, command_line=line)


# --- free space ----------------------------------------------------------------------------------------------------

SPACES = st.lists(
    st.builds(lambda start, size: Range(start, start + size), st.integers(0, 60), st.integers(1, 20)), max_size=5
)


@given(SPACES, SPACES, st.integers(1, 12), st.sampled_from([1, 2, 4]), st.integers(0, 40), st.integers(0, 90))
def test_lowest_and_highest_are_just_that(
    ram: list[Range], taken: list[Range], size: int, align: int, least: int, below: int
) -> None:
    space = Space(ram, taken)
    starts = [
        start
        for start in range(0, 100, align)
        if start >= least and start + size <= below and space.has(Range(start, start + size))
    ]
    lowest = space.lowest(size, align=align, least=least, below=below)
    highest = space.highest(size, align=align, least=least, below=below)
    assert (lowest.start if lowest else None) == min(starts, default=None)
    assert (highest.start if highest else None) == max(starts, default=None)
    assume(lowest is not None)
    assert lowest is not None
    assert space.take(lowest) == lowest
    assert not space.has(lowest)
    with pytest.raises(ValueError, match="is not free"):
        space.take(lowest)


# --- boot_params ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ReadBack:
    """What a kernel that is entered with `address` finds there."""

    address: int
    data: bytes

    def field(self, offset: int, form: str) -> int:
        return int(struct.unpack_from("<" + form, self.data, offset)[0])

    def wide(self, low: int, high: int) -> int:
        """A number whose halves are 32-bit fields of their own, as ext_ramdisk_image and the like."""
        return self.field(low, "I") | self.field(high, "I") << 32

    def at(self, address: int, size: int) -> bytes:
        assert self.address <= address
        assert address + size <= self.address + len(self.data)
        return self.data[address - self.address :][:size]

    @property
    def command_line(self) -> bytes:
        start = self.wide(0x228, 0xC8) - self.address
        return self.data[start : self.data.index(b"\0", start)]

    def setup_data(self) -> list[tuple[int, bytes]]:
        found, here = [], self.field(0x250, "Q")
        while here:
            following, kind, size = struct.unpack("<QII", self.at(here, 16))
            found.append((kind, self.at(here + 16, size)))
            here = following
        return found

    def e820(self) -> list[tuple[int, int, int]]:
        assert self.data[0x1E8] <= 128
        table = self.data[0x2D0 : 0x2D0 + 20 * self.data[0x1E8]]
        table += b"".join(data for kind, data in self.setup_data() if kind == 1)
        return [(start, size, kind) for start, size, kind in struct.iter_unpack("<QQI", table)]


ENTRIES = st.lists(
    st.builds(
        lambda start, size, kind: E820Entry(Range(start, start + size), kind),
        st.integers(0, 2**52),
        st.integers(1, 2**40),
        st.sampled_from(E820Type),
    ),
    max_size=300,
)


@settings(max_examples=200, deadline=None)
@given(
    e820=ENTRIES | st.integers(120, 140).map(lambda count: [E820Entry(Range(0, 4096), E820Type.RAM)] * count),
    line=st.binary(max_size=2047).map(lambda line: line.replace(b"\0", b" ")),
    initrd=st.sampled_from([(0, 0), (0x3FF00000, 0x100000), (0x1_2345_6000, 0x1_0000_1000)]),
    rsdp=st.sampled_from([0, 0xE0000, 0x7FFFE014]),
    seed=st.sampled_from([b"", SEED]),
    address=st.integers(256, 2**33).map(lambda page: page * PAGE_SIZE),
)
def test_boot_params_read_back(
    e820: Sequence[E820Entry], line: bytes, initrd: tuple[int, int], rsdp: int, seed: bytes, address: int
) -> None:
    parameters = BootParams(IMAGE, line, e820, *initrd, rsdp, seed)
    data = parameters.pack(address)
    assert PAGE_SIZE < len(data) <= parameters.size
    seen = ReadBack(address, data)

    assert seen.e820() == [(entry.range.start, entry.range.size, entry.type) for entry in e820]
    assert seen.data[0x1E8] == min(len(e820), 128)
    assert seen.command_line == line
    assert seen.wide(0x218, 0xC0) == initrd[0]
    assert seen.wide(0x21C, 0xC4) == initrd[1]
    assert seen.field(0x70, "Q") == rsdp
    assert [data for kind, data in seen.setup_data() if kind == 9] == ([seed] if seed else [])
    assert all(kind in (1, 9) for kind, _ in seen.setup_data())

    # The header is the file's, but for what the loader writes into it.
    header, file = bytearray(data[0x1F1:0x26C]), bytearray(IMAGE.setup[0x1F1:0x26C])
    assert data[0x202:0x206] == b"HdrS"
    assert data[0x210] == 0xD0
    assert data[0x211] & LoadFlags.LOADED_HIGH
    assert not data[0x211] & LoadFlags.CAN_USE_HEAP
    for offset, size in ((0x210, 1), (0x211, 1), (0x218, 8), (0x228, 4), (0x250, 8)):
        header[offset - 0x1F1 :][:size] = b""
        for each in (header, file):
            each[offset - 0x1F1 : offset - 0x1F1 + size] = bytes(size)
    assert header[: 0x268 - 0x1F1] == file[: 0x268 - 0x1F1]
    # Everything else of the page is zero: the kernel takes what is not to be something.
    spans = [(0x70, 8), (0xC0, 12), (0x1E8, 1), (0x1F1, 0x26C - 0x1F1), (0x2D0, 128 * 20)]
    rest = bytearray(data[:PAGE_SIZE])
    for offset, size in spans:
        rest[offset : offset + size] = bytes(size)
    assert not any(rest)


def test_a_header_never_reaches_what_follows_it() -> None:
    setup = bytearray(IMAGE.setup)
    setup[0x201] = 0xFF
    setup[0x290:0x302] = b"x" * (0x302 - 0x290)
    page = BootParams(replace(IMAGE, setup=memoryview(setup)), b"", []).pack(0x100000)
    assert not any(page[0x290:PAGE_SIZE])


def test_what_a_placement_puts_into_its_parameters() -> None:
    facts = replace(Facts.of_pc(5 * GIB), rsdp=0xF1234)
    placement = place(IMAGE, facts, initrds=[memoryview(b"initrd")], command_line="a b", rng_seed=SEED)
    segment = named(placement, "boot parameters")
    assert placement.boot_params == segment.mem
    seen = ReadBack(segment.mem, content(segment))
    initrd = named(placement, "initrd")
    assert (seen.wide(0x218, 0xC0), seen.wide(0x21C, 0xC4)) == (initrd.mem, initrd.bufsz)
    assert seen.command_line == b"a b"
    assert seen.field(0x70, "Q") == 0xF1234
    assert seen.setup_data() == [(9, SEED)]
    assert seen.e820() == [(each.range.start, each.range.size, each.type) for each in facts.e820]

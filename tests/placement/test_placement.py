"""Placement of a bzImage on any machine, and how free space is searched."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

import warmboot
from warmboot.errors import InputError, RefusedError
from warmboot.images import BzImage, XLoadFlags, parse_bzimage
from warmboot.memmap import Facts, Range, subtract
from warmboot.memmap.firmware import Efi, EfiMemoryDescriptor, Firmware
from warmboot.placement import Placement, PlaceOptions, Space, place
from warmboot.purgatory.parameters import DIGESTS
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.uapi import KEXEC_SEGMENT_MAX, PAGE_SIZE, Segment

MIB, GIB = 1 << 20, 1 << 30
IMAGE = parse_bzimage(memoryview(demo_kernel()), "demo")
DEMO_KERNEL = str(Path(warmboot.__file__).parent / "rehearsal/arch/x86_64/demo_kernel.bin")
SEED = bytes(range(32))
HASHES: dict[str, Callable[..., Any]] = {"xxh64": xxhash.xxh64, "sha256": hashlib.sha256}


def facts_of(*lines: str) -> Facts:
    return replace(Facts.of_pc(GIB), iomem="".join(f"{line}\n" for line in lines))


def content(segment: Segment) -> bytes:
    return b"".join(map(bytes, segment.buf.pieces(0, segment.bufsz)))


def where(segment: Segment) -> Range:
    return Range(segment.mem, segment.end)


def named(placement: Placement, name: str) -> Segment:
    return next(each for each in placement.request.segments if each.name == name)


def test_nothing_goes_where_firmware_keeps_its_own_in_ram() -> None:
    """Found by 7.2 after 6.1 under OVMF: EFI keeps a random seed in RAM, and the new kernel cleared it."""
    facts = Facts.of_pc(GIB)
    initrd = memoryview(bytes(8 * MIB))
    first = named(place(IMAGE, facts, PlaceOptions(initrds=[initrd])), "initrd")
    seed = EfiMemoryDescriptor(type=4, phys_addr=first.mem + 4 * MIB, virt_addr=0, num_pages=1, attribute=1 << 63)
    firmware = Firmware(efi=Efi(b"EL64", 0x3F00_0018, (seed,), 0, 0, 0))
    placement = place(IMAGE, facts, PlaceOptions(initrds=[initrd], firmware=firmware))
    assert not any(where(each).overlaps(seed.range) for each in placement.request.segments)


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


LIMITS = st.sampled_from(
    [(0, 2**64 - 1), (0, 0x3FFF_FFFF), (0x200_0000, 2**64 - 1), (0x123_4567, 0x2345_6788), (4 * GIB, 2**64 - 1)]
)


@settings(max_examples=500, deadline=None)
@given(
    facts=machines(),
    image=IMAGES,
    initrd_size=st.integers(0, 3 * MIB),
    avoid=st.integers(0, 900),
    limits=LIMITS,
    entry_32bit=st.booleans(),
    digest=st.sampled_from(DIGESTS),
)
def test_every_placement_is_sound(
    facts: Facts,
    image: BzImage,
    initrd_size: int,
    avoid: int,
    limits: tuple[int, int],
    entry_32bit: bool,
    digest: str,
) -> None:
    taken = Range(avoid * MIB, avoid * MIB + 8 * MIB)
    initrds = [memoryview(bytes(initrd_size))] if initrd_size else []
    mem_min, mem_max = limits
    outside = [Range(0, mem_min), Range(mem_max + 1, 2**64)]
    forbidden = [Range(0, MIB), *facts.crash_kernel, taken, *outside]
    try:
        placement = place(
            image,
            facts,
            PlaceOptions(
                initrds=initrds,
                command_line="quiet",
                avoid=[taken],
                rng_seed=SEED,
                mem_min=mem_min,
                mem_max=mem_max,
                entry_32bit=entry_32bit,
                digest=digest,
            ),
        )
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
    above_4g = image.above_4g and not entry_32bit
    limit = 2**64 if above_4g else 4 * GIB
    is_free = any(each.contains(preferred) for each in free) and image.pref_address % PAGE_SIZE == 0
    if is_free and preferred.end <= limit:
        assert kernel.mem == image.pref_address
    else:
        assert image.relocatable
        assert kernel.mem % image.kernel_alignment == 0
    assert kernel.memsz >= image.init_size
    assert content(kernel) == bytes(image.kernel)
    assert placement.entry.bits == (32 if entry_32bit else 64)
    assert placement.kernel_entry == kernel.mem + (0 if entry_32bit else 0x200)
    assert placement.entry.rsi == placement.boot_params == named(placement, "boot parameters").mem
    if not above_4g:
        assert all(each.end <= 4 * GIB for each in request.segments if each.name != "purgatory")
    if entry_32bit:
        assert named(placement, "purgatory").end <= 4 * GIB
    assert request.entry == named(placement, "purgatory").mem
    assert placement.has_purgatory

    # Every byte that is loaded is digested once, but for the purgatory's own.
    places = [(each.start, each.size) for each in placement.regions]
    assert digest != "none" or not places
    digested = [each for each in request.segments if each.name != "purgatory"] if digest != "none" else []
    assert sum(size for _, size in places) == placement.digest_size
    assert placement.digest_size == sum(-(-each.bufsz // 64) * 64 for each in digested)
    for region in placement.regions:
        [segment] = [each for each in digested if each.mem <= region.start < each.end]
        offset = region.start - segment.mem
        data = content(segment)[offset : offset + region.size]
        assert region.digest == HASHES[digest](data.ljust(region.size, b"\0")).digest()


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
    placement = place(large, facts, PlaceOptions(initrds=[initrd]))
    assert named(placement, "kernel").mem == 4 * GIB
    assert named(placement, "initrd").end == 8 * GIB
    assert named(placement, "boot parameters").end <= 32 * MIB
    with pytest.raises(RefusedError, match="no room for the kernel: 67108864 bytes in one piece"):
        place(replace(large, xloadflags=XLoadFlags.KERNEL_64), facts)


def test_an_initrd_stays_below_the_kernels_limit() -> None:
    facts = facts_of("00100000-bfffffff : System RAM")
    initrd = memoryview(bytes(MIB))
    assert named(place(IMAGE, facts, PlaceOptions(initrds=[initrd])), "initrd").end == 0x80000000
    low = replace(IMAGE, initrd_addr_max=0x37FFFFFF)
    assert named(place(low, facts, PlaceOptions(initrds=[initrd])), "initrd").end == 0x38000000


def test_several_initrds_are_joined_at_multiples_of_4() -> None:
    parts = [memoryview(b"abcde"), memoryview(b"fg"), memoryview(b"hij")]
    initrd = named(place(IMAGE, Facts.of_pc(GIB), PlaceOptions(initrds=parts)), "initrd")
    assert content(initrd) == b"abcde\0\0\0fg\0\0hij"


def test_small_parts_go_above_4_gib_only_if_they_must() -> None:
    high = facts_of("100000000-1ffffffff : System RAM")
    placement = place(IMAGE, high)
    assert all(each.mem >= 4 * GIB for each in placement.request.segments)
    for image, entry_32bit in ((IMAGE, True), (replace(IMAGE, xloadflags=XLoadFlags.KERNEL_64), False)):
        with pytest.raises(RefusedError, match="no room for the kernel"):
            place(image, high, PlaceOptions(entry_32bit=entry_32bit))


@pytest.mark.parametrize("flags", [XLoadFlags.KERNEL_64, XLoadFlags.KERNEL_64 | XLoadFlags.FIVE_LEVEL, XLoadFlags(0)])
@pytest.mark.parametrize("la57", [True, False])
def test_5_level_page_tables_are_left_for_a_kernel_that_does_not_know_them(flags: XLoadFlags, la57: bool) -> None:
    placement = place(replace(IMAGE, xloadflags=flags), replace(Facts.of_pc(GIB), la57=la57))
    assert placement.entry.leave_5_level == (la57 and flags == XLoadFlags.KERNEL_64)
    assert placement.entry.bits == (64 if flags else 32)  # protected mode has no paging to be left


def test_a_kernel_without_the_64_bit_entry_is_entered_in_protected_mode() -> None:
    for image in (
        replace(IMAGE, xloadflags=XLoadFlags(0)),
        replace(IMAGE, protocol=0x20B),
        replace(IMAGE, kind="bzImage"),
    ):
        placement = place(image, Facts.of_pc(8 * GIB), PlaceOptions(initrds=[memoryview(b"initrd")]))
        assert placement.entry.bits == 32
        assert placement.kernel_entry == named(placement, "kernel").mem
        assert all(each.end <= 4 * GIB for each in placement.request.segments)


def test_limits_that_leave_no_room() -> None:
    with pytest.raises(RefusedError, match="no room for the kernel: 32768 bytes in one piece from 0x1000000 up"):
        place(IMAGE, Facts.of_pc(GIB), PlaceOptions(mem_max=0xFF_FFFF))
    fixed = replace(IMAGE, relocatable=False)
    with pytest.raises(RefusedError, match="not relocatable, and 0x1000000-"):
        place(fixed, Facts.of_pc(GIB), PlaceOptions(mem_min=0x100_0001))


def test_a_seed_is_fresh_by_default() -> None:
    one, two = place(IMAGE, Facts.of_pc(GIB)), place(IMAGE, Facts.of_pc(GIB))
    assert content(named(one, "boot parameters")) != content(named(two, "boot parameters"))


def test_the_command_lines_limit() -> None:
    facts = Facts.of_pc(GIB)
    assert place(IMAGE, facts, PlaceOptions(command_line="a" * 2047)).command_line == "a" * 2047
    place(IMAGE, facts, PlaceOptions(command_line="\udcff" * 2047))
    for line, message in (("a" * 2048, "has 2048 bytes, demo takes 2047"), ("\u20ac" * 700, "2100"), ("\0", "zero")):
        with pytest.raises(InputError, match=message):
            place(IMAGE, facts, PlaceOptions(command_line=line))


def test_placing_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom warmboot.images.bzimage import parse_bzimage\n"
        f"demo_kernel = open({DEMO_KERNEL!r}, 'rb').read\n"
        "from warmboot.memmap.ranges import Range; from warmboot.placement import PlaceOptions, place\n"
        "class Host:\n    machine = 'x86_64'; la57 = rsdp = 0; crash_kernel = e820 = []\n"
        "    system_ram = [Range(2**20, 1 << 30)]\n"
        "place(parse_bzimage(memoryview(demo_kernel()), 'demo'), Host, PlaceOptions(command_line='quiet'))\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    heavy = {"json", "numpy", "pathlib", "elftools", "unicorn", "subprocess", "asyncio", "argparse", "tempfile"}
    loaded = set(done.stdout.split())
    assert "warmboot.placement.arch.x86_64.linux" in loaded
    assert heavy & loaded == set()
    assert not {name for name in loaded if name.startswith("warmboot.placement.") and "multiboot" in name}


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
    if lowest is None:
        return
    assert space.take(lowest) == lowest
    assert not space.has(lowest)
    with pytest.raises(ValueError, match="is not free"):
        space.take(lowest)

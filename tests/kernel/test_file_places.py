"""Where kexec_file_load puts things and what it tells: as Debian's kernels said they did, and by Linux's own loops.

`file_places` holds what four kernels printed in a PC of 1 GiB with crashkernel=192M: by KEXEC_FILE_DEBUG, and before
6.8 by dynamic debugging. bufsz of the purgatory is Linux's own, whose code is not here.
"""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.kernels import MIB, facts_of, new_kernel
from warmboot.kernel import Kernel, KexecError, rules
from warmboot.kernel.kexec_buf import KexecBuf, kexec_add_buffer
from warmboot.kernel.kexec_core import do_kimage_alloc_init
from warmboot.kernel.kho import Kho, pack_scratch
from warmboot.kernel.kimage import Kimage
from warmboot.kernel.unkept import UnkeptMemory
from warmboot.memmap import Facts, Range
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.uapi import PAGE_SIZE, KexecFileFlags, KexecFileRequest, Readable

TOLD = sorted((Path(__file__).parent / "file_places").glob("*.json"))
E820 = struct.Struct("<QQI")


def machine_of(told: dict[str, Any]) -> Kernel:
    facts = replace(Facts.of_pc(1 << 30, release=told["release"], cpus=2), iomem=told["iomem"], totalram_pages=200_000)
    return Kernel(facts, UnkeptMemory([Range(0, PAGE_SIZE), *facts.system_ram]))


def request_of(told: dict[str, Any], flags: int) -> KexecFileRequest:
    """A file with that kernel's numbers: what is in it decides nothing."""
    data = bytearray(demo_kernel()[:0x400].ljust(told["kernel_size"], b"\0"))
    data[0x1F1] = told["setup_sects"]
    struct.pack_into("<I", data, 0x230, told["kernel_alignment"])
    struct.pack_into("<I", data, 0x238, told["cmdline_size"])
    struct.pack_into("<QI", data, 0x258, told["pref_address"], told["init_size"])
    line = told["command_line"].encode() + b"\0"
    size = told["initrd_size"]
    return KexecFileRequest(memoryview(data), size, line, flags, initrd=Readable.of(bytes(size)))


@pytest.mark.parametrize("path", TOLD, ids=[each.stem for each in TOLD])
@pytest.mark.parametrize("crash", [False, True], ids=["normal", "crash"])
def test_as_real_kernels_placed_it(path: Path, crash: bool) -> None:
    told = json.loads(path.read_text())
    kernel = machine_of(told)
    kernel.kexec_file_load(request_of(told, KexecFileFlags.ON_CRASH if crash else 0))
    image = kernel.kexec_crash_image if crash else kernel.kexec_image
    assert image is not None
    assert image.file is not None
    places = [[each.bufsz, each.mem, each.memsz] for each in image.segment]
    wanted = told["crash" if crash else "normal"]
    for place, real in zip(places, wanted, strict=True):
        assert place[1:] == real[1:]
        assert place[0] in (0, real[0])  # 0 is the purgatory's: ours is elsewhere
    line = told["crash_command_line"] if crash else told["command_line"]
    assert image.file.command_line.decode() == line
    e820 = told["crash_e820" if crash else "e820"]
    if e820 is not None:
        page = b"".join(image.segment[2 if crash else 1].buf.pieces(0, PAGE_SIZE))
        entries = [E820.unpack_from(page, 0x2D0 + 20 * number) for number in range(page[0x1E8])]
        if not crash:  # this map is firmware's, which has the first page, and the guests' iomem has not
            entries[:2] = [(0, entries[0][1] + entries[1][1], 1)]
        assert [[start, start + size - 1, kind] for start, size, kind in entries] == e820


def by_pages(image: Kimage, kbuf: KexecBuf, where: Range, exact: bool) -> int | None:
    """locate_mem_hole_top_down, page by page as Linux goes."""
    last = where.end - 1
    if where.size < kbuf.memsz or last < kbuf.buf_min or where.start > kbuf.buf_max:
        return None
    at = min(last, kbuf.buf_max) - kbuf.memsz + int(exact)
    while True:
        at &= ~(kbuf.buf_align - 1)
        if at < where.start or at < kbuf.buf_min:
            return None
        if image.segment_overlapping(at, at + kbuf.memsz - 1) is None:
            return at
        at -= PAGE_SIZE


@given(
    sizes=st.lists(st.tuples(st.integers(1, 12 * MIB), st.sampled_from([1, 12, 13, 16, 21])), min_size=1, max_size=8),
    release=st.sampled_from(["6.1.0", "6.12.0"]),
    least=st.sampled_from([0x3000, 0x100000, 0x1000000]),
    odd=st.integers(0, 3),
)
def test_holes_are_those_of_linux_page_by_page(
    sizes: list[tuple[int, int]], release: str, least: int, odd: int
) -> None:
    facts = facts_of(64 * MIB, release=release)
    kernel = Kernel(facts, UnkeptMemory([Range(0, PAGE_SIZE), *facts.system_ram]))
    exact = kernel.profile.holes_reach_the_end
    image = do_kimage_alloc_init(kernel, 0, [])
    for number, (size, align) in enumerate(sizes):
        alignment = (1 << align) | (0x3000 if number == odd else 0)  # one that is no power of 2
        kbuf = KexecBuf("part", Readable.of(b""), 0, size, alignment, buf_min=least, top_down=True)
        rounded = KexecBuf("", Readable.of(b""), 0, -(-size // PAGE_SIZE) * PAGE_SIZE, max(alignment, PAGE_SIZE), least)
        ram = list(reversed(kernel.system_ram)) if kernel.profile.walks_ram_in_reverse else list(kernel.system_ram)
        found = [by_pages(image, rounded, each, exact) for each in ram]
        wanted = next((each for each in found if each is not None), None)
        if wanted is None:
            with pytest.raises(KexecError) as raised:
                kexec_add_buffer(kernel, image, kbuf)
            assert raised.value.rule is rules.HOLE
        else:
            assert kexec_add_buffer(kernel, image, kbuf).mem == wanted


def handing_over(kernel: Kernel, *scratch: Range) -> None:
    kernel.kho = Kho(scratch, fdt=0x1234000)


GOOD = KexecFileRequest(memoryview(demo_kernel()), 0, b"quiet\0", KexecFileFlags.NO_INITRAMFS)


def test_with_kho_all_lies_in_its_scratch_memory_and_is_told() -> None:
    areas = Range(16 * MIB, 24 * MIB), Range(64 * MIB, 128 * MIB)
    with new_kernel(512 * MIB) as kernel:
        handing_over(kernel, *areas)
        kernel.kexec_file_load(GOOD)
        image = kernel.kexec_image
        assert image is not None
        assert [each.name for each in image.segment][:2] == ["scratch areas", "purgatory"]
        assert all(any(area.contains(Range(each.mem, each.end)) for area in areas) for each in image.segment)
        told = image.segment[0]
        assert told.mem % (64 << 10) == 0
        assert b"".join(told.buf.pieces(0, told.bufsz)) == pack_scratch(areas)
        parameters = next(each for each in image.segment if each.name == "boot parameters")
        page = b"".join(parameters.buf.pieces(0, parameters.bufsz))
        chain, seen = struct.unpack_from("<Q", page, 0x250)[0], {}
        while chain:
            at = chain - parameters.mem
            chain, kind, size = struct.unpack_from("<QII", page, at)
            seen[kind] = page[at + 16 : at + 16 + size]
        assert struct.unpack("<4Q", seen[10]) == (0x1234000, PAGE_SIZE, told.mem, told.bufsz)
        assert len(seen[9]) == 32


def test_what_does_not_fit_scratch_memory_is_refused_and_kho_scratch_helps() -> None:
    with new_kernel(512 * MIB) as kernel:
        handing_over(kernel, Range(16 * MIB, 20 * MIB))
        with pytest.raises(KexecError) as raised:
            kernel.kexec_file_load(GOOD._replace(initrd_size=8 * MIB, initrd=Readable.of(bytes(8 * MIB)), flags=0))
        assert raised.value.rule is rules.HOLE
        assert "kho_scratch=" in raised.value.hint
        assert kernel.pages.allocated == 0


def test_a_crash_image_lies_in_its_reservation_whether_kho_is_on() -> None:
    with new_kernel(512 * MIB, crashkernel=64 * MIB) as kernel:
        handing_over(kernel, Range(16 * MIB, 24 * MIB))
        kernel.kexec_file_load(GOOD._replace(flags=GOOD.flags | KexecFileFlags.ON_CRASH))
        assert kernel.kexec_crash_image is not None
        assert "scratch areas" not in [each.name for each in kernel.kexec_crash_image.segment]


def test_facts_of_a_machine_that_hands_over_tell_its_scratch_memory() -> None:
    told = {
        "scratch_phys": "0x1000000 0x4000000 0xffffffffffff0000 bad",
        "scratch_len": "0x800000 0x1000000 0x100000 1",
    }
    facts = replace(facts_of(512 * MIB), handover=told)
    kernel = Kernel(facts, UnkeptMemory([Range(0, PAGE_SIZE), *facts.system_ram]))
    assert kernel.kho == Kho((Range(16 * MIB, 24 * MIB), Range(64 * MIB, 80 * MIB)))
    kernel.kexec_file_load(GOOD)
    assert kernel.kexec_image is not None
    assert {each.mem >> 20 for each in kernel.kexec_image.segment} <= set(range(16, 24))

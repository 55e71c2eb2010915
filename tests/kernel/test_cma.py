"""Contiguous memory: what kexec_file_load takes of it is where Linux 7.2 took it, call for call, and is entered.

`cma_places` holds what a kernel with `cma=4M` printed by KEXEC_FILE_DEBUG, calls that it refused among them: of those
it never gives anything back.
"""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.kernel import Kernel
from warmboot.kernel.cma import Cma, cma_of
from warmboot.kernel.unkept import UnkeptMemory
from warmboot.live.kernel_log import cma_area
from warmboot.machines.machine import Machine
from warmboot.memmap import Facts, Range
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.rehearsal.file_call import load_file, try_place
from warmboot.rehearsal.handover import hand_over
from warmboot.uapi import PAGE_SIZE, KexecFileFlags, KexecFileRequest, Readable

TOLD = json.loads((Path(__file__).parent / "cma_places" / "7.2.json").read_text())
MIB = 1 << 20
FACTS = replace(Facts.of_pc(1 << 30, release="7.2.0"), cma="20000000-20ffffff")
INITRD = bytes(range(256)) * 1024
REQUEST = KexecFileRequest(memoryview(demo_kernel()), len(INITRD), b"quiet\0", initrd=Readable.of(INITRD))


def test_as_a_real_kernel_placed_it() -> None:
    facts = Facts.from_json(json.dumps(TOLD["facts"]))
    kernel = Kernel(facts, UnkeptMemory([Range(0, PAGE_SIZE), *facts.system_ram]))
    size, line = TOLD["initrd_size"], TOLD["command_line"].encode() + b"\0"
    for call in TOLD["calls"]:
        about = TOLD["kernel"]
        data = bytearray(demo_kernel()[:0x400].ljust(about["size"], b"\0"))
        data[0x1F1] = about["setup_sects"]
        struct.pack_into("<I", data, 0x230, about["kernel_alignment"])
        struct.pack_into("<HI", data, 0x236, about["xloadflags"], about["cmdline_size"])
        struct.pack_into("<QI", data, 0x258, about["pref_address"], about["init_size"])
        for offset, change in call["patches"]:
            data[offset : offset + len(change) // 2] = bytes.fromhex(change)
        flags = call["flags"]
        request = KexecFileRequest(memoryview(data), size, line, flags, initrd=Readable.of(bytes(size)))
        assert kernel.sys_kexec_file_load(request) == call["ret"]
        image = kernel.kexec_crash_image if flags & KexecFileFlags.ON_CRASH else kernel.kexec_image
        if call["segments"]:
            assert image is not None
            assert [[each.mem, each.memsz] for each in image.segment] == call["segments"]


def test_what_lies_there_is_not_copied_and_entered() -> None:
    with Machine(FACTS) as machine:
        kernel = machine.kernel
        assert try_place(kernel, REQUEST)[0] is not None
        assert kernel.cma is not None
        assert kernel.cma.taken == ()  # a look takes nothing
        loaded = load_file(kernel, REQUEST)
        image = kernel.kexec_image
        assert image is not None
        assert set(image.segment_cma) == set(range(image.nr_segments))
        assert image.entries.tolist()[:-1] == []  # but for the mark of its end
        assert all(FACTS.cma and 0x2000_0000 <= each.mem < 0x2100_0000 for each in image.segment)
        assert image.sources == [list(each) for each in image.destinations()]
        done = hand_over(machine, loaded)
        assert done.reached, done.problem
        assert done.digest_checked
        kernel.kexec_file_load(REQUEST._replace(flags=KexecFileFlags.UNLOAD))
        assert kernel.cma.taken == ()


@pytest.mark.parametrize(
    ("facts", "flags"),
    [(FACTS, KexecFileFlags.NO_CMA), (replace(FACTS, release="6.16.0"), 0), (replace(FACTS, cma=None), 0)],
    ids=["not wanted", "before 6.17", "none"],
)
def test_elsewhere(facts: Facts, flags: int) -> None:
    with Machine(facts) as machine:
        machine.kernel.kexec_file_load(REQUEST._replace(flags=int(flags)))
        image = machine.kernel.kexec_image
        assert image is not None
        assert image.segment_cma == {}


def test_where_some_finds_no_room_it_lies_elsewhere() -> None:
    with Machine(replace(FACTS, cma="20000000-2000ffff")) as machine:
        loaded = load_file(machine.kernel, REQUEST)
        image = machine.kernel.kexec_image
        assert image is not None
        assert set(image.segment_cma) == {0, 1}  # purgatory and boot parameters
        assert hand_over(machine, loaded).reached


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6)), max_size=12), st.integers(0, 70))
def test_the_first_place_that_fits_is_taken(wanted: list[tuple[int, int]], first: int) -> None:
    area = range(first, first + 100)
    cma, taken = Cma(area, 4), set[int]()
    for count, order in wanted:
        step = 1 << min(order, 4)
        places = (range(each, each + count) for each in area if each % step == 0 and each + count <= area.stop)
        best = next((each for each in places if count and not taken & set(each)), None)
        assert cma.alloc(count, order) == best
        taken |= set(best or ())


@pytest.mark.parametrize(
    "text", [None, "", "-", "1-", "-1", "x-y", "2-1", "fff-ffffffffffffffffffff", "0-ffffffffffff"]
)
def test_what_is_no_area_is_none(text: str | None) -> None:
    assert cma_of(replace(FACTS, cma=text)) is None


def test_the_kernel_log_tells_where_it_is() -> None:
    log = "6,10,0,-;cma: Reserved 16 MiB at 0x000000003ea00000\n6,11,0,-;cma: Reserved 4 MiB at 0x000000003f600000\n"
    assert cma_area(log, 1024, 992) == "3f620000-3f9fffff"
    assert cma_area(log, 4096, 4096) == "3ea00000-3f9fffff"
    assert cma_area(log, 2048, 2048) is None

"""The purgatory: its build, its SHA-256 against hashlib's, and what it refuses to start."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warmboot.errors import MissingToolError, RefusedError
from warmboot.images import identify_bytes
from warmboot.machines.machine import Machine
from warmboot.machines.unicorn import Run, execute
from warmboot.placement import Placement, PlaceOptions, place
from warmboot.purgatory import Entry, Region
from warmboot.purgatory.arch.x86_64 import parameters
from warmboot.purgatory.arch.x86_64.parameters import purgatory, purgatory_size
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.rehearsal.handover import hand_over
from warmboot.stubs.build import PACKAGE, build, sources
from warmboot.stubs.regions import BLOCK, REGIONS, region_table
from warmboot.stubs.stub import stub
from warmboot.uapi import PAGE_SIZE, LoadRequest, Readable, Segment

MIB = 1 << 20
PURGATORY, KERNEL, DATA = 0x100_0000, 0x110_0000, 0x200_0000  # physical
STOPPED = "stopped before the new kernel"
MOST = 80  # regions: more than pieces that are hashed of an ordinary image

STUBS = sources()


@pytest.mark.parametrize("source", STUBS, ids=lambda path: path.stem)
def test_the_shipped_bytes_are_what_the_source_builds(source: Path) -> None:
    assert build(source) == stub(str(source), source.stem), "run: python -m warmboot.stubs.build"


def test_every_stub_has_its_source() -> None:
    assert [path.stem for path in STUBS] == sorted(path.stem for path in PACKAGE.glob("**/*.bin"))


def test_a_source_that_does_not_assemble(tmp_path: Path) -> None:
    source = tmp_path / "wrong.S"
    source.write_text("\tno such instruction\n")
    with pytest.raises(RefusedError, match="no such instruction"):
        build(source)


def test_without_binutils(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingToolError, match="as: not installed"):
        build(STUBS[0])


def test_a_payloads_table_holds_so_many_ranges_and_no_more() -> None:
    assert len(region_table([(0, BLOCK)] * REGIONS)) == 8 + 16 * REGIONS
    with pytest.raises(ValueError, match="17 ranges"):
        region_table([(0, BLOCK)] * (REGIONS + 1))


def test_its_size() -> None:
    regions = [Region(DATA, BLOCK, bytes(32))] * MOST
    assert len(purgatory(Entry(KERNEL), regions)) == purgatory_size(MOST)
    assert len(purgatory(Entry(KERNEL))) == purgatory_size(0) == len(stub(parameters.__file__, "purgatory"))


Places = list[tuple[int, bytes]]


@st.composite
def places(draw: st.DrawFn, *, least: int = 0) -> Places:
    """Ranges of whole blocks, none included, in any order: physical address and contents; neighbours may touch."""
    found = []
    at = DATA
    for _ in range(draw(st.integers(least, 6) | st.integers(least, MOST))):
        at += BLOCK * draw(st.integers(0, 3))
        data = Random(draw(st.integers(0, 2**32 - 1))).randbytes(BLOCK * draw(st.integers(0, 5)))
        found.append((at, data))
        at += len(data)
    return draw(st.permutations(found))


HASHES: dict[str, Callable[..., Any]] = {"xxh64": xxhash.xxh64, "sha256": hashlib.sha256}
NAMES = {"xxh64": "XXH64", "sha256": "SHA-256"}
algorithms = pytest.mark.parametrize("algorithm", HASHES)


def regions_of(found: Places, algorithm: str) -> list[Region]:
    return [Region(at, len(data), HASHES[algorithm](data).digest()) for at, data in found]


def request(code: bytes, kernel: bytes) -> LoadRequest:
    segments = [
        Segment(Readable.of(data), len(data), mem, -(-len(data) // PAGE_SIZE) * PAGE_SIZE)
        for data, mem in ((code, PURGATORY), (kernel, KERNEL))
    ]
    return LoadRequest(PURGATORY, tuple(segments))


def checked(found: Places, regions: Sequence[Region]) -> Run:
    """The purgatory's run over memory that holds the ranges."""
    with Machine.of_pc(128 * MIB) as machine:
        for at, data in found:
            machine.memory.write(at, data)
        code = purgatory(Entry(KERNEL, rsi=0x1234_5678), regions)
        machine.kernel.kexec_load(request(code, b"\xf4"))
        relocation = execute(machine.memory, machine.kernel.reboot(), until=PURGATORY)
        assert relocation.reached
        return execute(machine.memory, relocation.state, until=KERNEL)


few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@algorithms
@few
@given(places())
def test_its_digests_are_those_of_the_libraries(algorithm: str, found: Places) -> None:
    run = checked(found, regions_of(found, algorithm))
    assert run.reached
    assert not run.serial
    assert run.state.rsi == 0x1234_5678


@algorithms
@few
@given(places(least=1), st.data())
def test_a_digest_with_one_bit_wrong_is_refused(algorithm: str, found: Places, data: st.DataObject) -> None:
    regions = regions_of(found, algorithm)
    number = data.draw(st.integers(0, len(regions) - 1))
    right = regions[number]
    bit = data.draw(st.integers(0, 8 * len(right.digest) - 1))
    wrong = bytearray(right.digest)
    wrong[bit // 8] ^= 1 << bit % 8
    regions[number] = Region(right.start, right.size, bytes(wrong))
    run = checked(found, regions)
    assert not run.reached
    said = run.serial.decode()
    assert f"damaged at {right.start:016x}-{right.start + right.size:016x}\r\n" in said
    assert f"{NAMES[algorithm]} should be {wrong.hex()}\r\n" in said
    assert f"{NAMES[algorithm]} is        {right.digest.hex()}\r\n" in said
    assert STOPPED in said


def test_without_regions_nothing_is_checked() -> None:
    assert checked([], []).reached


@algorithms
def test_ranges_of_no_bytes_have_the_digest_of_nothing(algorithm: str) -> None:
    nothing = Region(DATA, 0, HASHES[algorithm]().digest())
    assert checked([], [nothing] * MOST).reached
    assert not checked([], [nothing, Region(DATA, 0, bytes(nothing.digest[1:]) + b"?")]).reached


def placed(machine: Machine) -> Placement:
    image = identify_bytes(memoryview(demo_kernel()), "the demo kernel")
    initrd = memoryview(Random(1).randbytes(70_001))
    return place(image, machine.facts, PlaceOptions(initrds=[initrd], command_line="quiet", rng_seed=bytes(32)))


SEGMENTS = ("kernel", "boot parameters", "initrd")


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_flipped_bit_stops_before_the_kernel(data: st.DataObject) -> None:
    with Machine.of_pc(128 * MIB) as machine:
        placement = placed(machine)
        segments = placement.request.segments
        machine.kernel.kexec_load(placement.request)
        image = machine.kernel.kexec_image
        assert image is not None
        number = data.draw(st.sampled_from([n for n, each in enumerate(segments) if each.name in SEGMENTS]))
        offset = data.draw(st.integers(0, -(-segments[number].bufsz // BLOCK) * BLOCK - 1))
        page, within = divmod(offset, PAGE_SIZE)
        at = int(image.sources[number][page]) * PAGE_SIZE + within
        flipped = machine.memory.read(at, 1)[0] ^ 1 << data.draw(st.integers(0, 7))
        machine.memory.write(at, bytes([flipped]))

        done = hand_over(machine, placement)
        assert not done.reached
        assert not done.digest_checked
        where = segments[number].mem + offset
        [region] = [each for each in placement.regions if each.start <= where < each.start + each.size]
        found = xxhash.xxh64(machine.memory.read(region.start, region.size)).hexdigest()
        assert f"damaged at {region.start:016x}-" in done.serial
        assert f"should be {region.digest.hex()}" in done.serial
        assert f"is        {found}" in done.serial
        assert STOPPED in done.problem
        assert done.hint
        assert placement.request.entry <= done.state.rip < placement.request.entry + PAGE_SIZE


@pytest.mark.parametrize("check", [True, False])
def test_an_image_as_it_was_loaded_is_started(check: bool) -> None:
    with Machine.of_pc(128 * MIB) as machine:
        placement = placed(machine)
        machine.kernel.kexec_load(placement.request)
        done = hand_over(machine, placement, check_digest=check, count=True)
        assert (done.reached, done.digest_checked, done.problem, done.hint) == (True, check, "", "")
        assert done.state.rip == placement.kernel_entry
        assert done.instructions is not None
        # A block of XXH64 takes more than fifty instructions.
        assert (done.instructions > placement.digest_size // BLOCK * 50) == check


def test_without_a_check_a_flipped_bit_is_started() -> None:
    with Machine.of_pc(128 * MIB) as machine:
        placement = placed(machine)
        machine.kernel.kexec_load(placement.request)
        image = machine.kernel.kexec_image
        assert image is not None
        machine.memory.write((int(image.sources[0][0]) << 12) + 100, b"\xff")
        assert hand_over(machine, placement, check_digest=False).reached

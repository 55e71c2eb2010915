"""The hand-over, for any legal request: every destination holds its segment, and nothing else has changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warmboot.kernel import Ind, Kimage, PhysicalMemory, Policy
from warmboot.kernel.arch.x86_64.profile import x86_profile
from warmboot.machines.machine import Machine
from warmboot.machines.unicorn import Run, execute
from warmboot.memmap import Facts
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE, Joined, KexecArch, KexecFlags, LoadRequest, Readable, Segment

MIB = 1 << 20
GIB = 1 << 30
ZEROS = bytes(PAGE_SIZE)
RELEASES = ("5.10.0", "6.1.0", "6.12.0", "7.2.0")
MOST_PAGES = 1500  # of one request: some indirection pages, and less than half of the smallest machine

any_seed = st.integers(0, 2**32 - 1)
facts_with = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def nonzero_pages(memory: PhysicalMemory) -> dict[int, bytes]:
    """All of physical memory: frame number and contents of every page that is not zero."""
    found = {}
    for bank in memory.banks:
        offset, end = bank.offset, bank.offset + bank.range.size
        while offset < end:
            try:
                offset = os.lseek(memory.fd, offset, os.SEEK_DATA)
            except OSError:  # ENXIO: no data up to the file's end
                break
            hole = min(os.lseek(memory.fd, offset, os.SEEK_HOLE), end)
            data = os.pread(memory.fd, max(hole - offset, 0), offset)
            for start in range(0, len(data), PAGE_SIZE):
                page = data[start : start + PAGE_SIZE]
                if page != ZEROS:
                    found[(bank.range.start + offset - bank.offset + start) >> PAGE_SHIFT] = page
            offset = hole if hole > offset else end
    return found


def changed(before: dict[int, bytes], after: dict[int, bytes]) -> set[int]:
    """Frames whose contents differ."""
    return {frame for frame in before.keys() | after.keys() if before.get(frame, ZEROS) != after.get(frame, ZEROS)}


def wrong(memory: PhysicalMemory, segments: Iterable[Segment]) -> list[Segment]:
    """Segments that their destination does not hold, padded with zeros to memsz."""
    return [
        each
        for each in segments
        if memory.read(each.mem, each.memsz) != b"".join(each.buf.pieces(0, each.bufsz)).ljust(each.memsz, b"\0")
    ]


def destinations(segments: Iterable[Segment]) -> set[int]:
    return {frame for each in segments for frame in range(each.mem >> PAGE_SHIFT, each.end >> PAGE_SHIFT)}


def frames_of(image: Kimage | None) -> set[int]:
    """Every frame that the image took from the allocator: control, page list and source pages."""
    assert image is not None
    return set().union(*image.taken)


def control_code(machine: Machine, image: Kimage) -> int:
    """The one frame, besides destinations, that a hand-over writes: code, what it saves, and its stack."""
    return image.control_code_page + int(x86_profile(machine.kernel.profile).pgd_in_control_code)


@dataclass(frozen=True)
class Case:
    """A machine, what is loaded into it before, and what is handed over to."""

    facts: Facts
    request: LoadRequest
    before: LoadRequest | None
    unload_between: bool
    seed: int


@st.composite
def some_facts(draw: st.DrawFn, *, crashkernel: int = 0) -> Facts:
    size = draw(st.sampled_from([64 * MIB, 65 * MIB, 256 * MIB, 2 * GIB, 2 * GIB + 64 * MIB, 6 * GIB]))
    facts = Facts.of_pc(size + crashkernel, release=draw(st.sampled_from(RELEASES)), crashkernel=crashkernel)
    return replace(facts, la57=draw(st.booleans()), gbpages=draw(st.booleans()))


@st.composite
def segments_in(draw: st.DrawFn, windows: list[tuple[int, int]]) -> tuple[Segment, ...]:
    """1 to 16 segments, each in some window of frames (first, end)."""
    chosen: list[Segment] = []
    left = MOST_PAGES
    for _ in range(draw(st.integers(1, 16))):
        first, end = draw(st.sampled_from(windows))
        nr_pages = draw(st.integers(0, 5) | st.integers(0, 64) | st.sampled_from([510, 511, 512, 1023]))
        nr_pages = min(nr_pages, left, end - first)
        span = end - first - nr_pages
        # Close to either end collisions with what the allocator hands out are likely.
        distance = draw(st.integers(0, min(span, 100)) | st.integers(0, span))
        mem = (first + distance if draw(st.booleans()) else end - nr_pages - distance) << PAGE_SHIFT
        memsz = nr_pages << PAGE_SHIFT
        if any(mem + memsz > other.mem and mem < other.end for other in chosen):
            continue
        bufsz = draw(st.just(memsz) | st.integers(0, memsz))
        data = memoryview(Random(draw(any_seed)).randbytes(bufsz))
        cut = draw(st.integers(0, bufsz))
        source = Joined([data[:cut], data[cut:]], align=1) if draw(st.booleans()) else Readable(data)
        chosen.append(Segment(source, bufsz, mem, memsz))
        left -= nr_pages
    return tuple(draw(st.permutations(chosen)))


@st.composite
def requests(draw: st.DrawFn, windows: list[tuple[int, int]], flags: int = 0, entry: int = PAGE_SIZE) -> LoadRequest:
    """Entered somewhere in a segment; where none has a byte, at `entry`."""
    segments = draw(segments_in(windows))
    inside = [each for each in segments if each.memsz]
    if inside:
        segment = draw(st.sampled_from(inside))
        entry = segment.mem + draw(st.integers(0, segment.memsz - 1))
    return LoadRequest(entry, segments, KexecArch.X86_64 | flags)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    facts = draw(some_facts())
    windows = [(-(-each.start // PAGE_SIZE), each.end // PAGE_SIZE) for each in facts.system_ram]
    before = draw(st.none() | requests(windows))
    return Case(facts, draw(requests(windows)), before, draw(st.booleans()), draw(any_seed))


def mark(machine: Machine, segments: Iterable[Segment], seed: int) -> None:
    """Fill frames all over memory, around destinations, and where allocators begin, so that a stray write shows."""
    random = Random(seed)
    frames = {frame for each in segments for frame in ((each.mem >> PAGE_SHIFT) - 1, each.end >> PAGE_SHIFT)}
    for ram in machine.facts.system_ram:
        first, end = -(-ram.start // PAGE_SIZE), ram.end // PAGE_SIZE
        frames.update(random.randrange(first, end) for _ in range(40))
        frames.update(range(max(first, end - 100), end, 3))
    for frame in frames:
        if machine.memory.has(frame << PAGE_SHIFT, PAGE_SIZE):
            machine.memory.write(frame << PAGE_SHIFT, random.randbytes(PAGE_SIZE))


def loaded(machine: Machine, case: Case) -> Kimage:
    """Load as the case says; nothing may change but frames that images took. Returns the last image.

    A frame that was a source, and was given back when a better one was found, has changed too: it must have been the
    kernel's to write, and nobody's destination.
    """
    kernel = machine.kernel
    segments = [*case.request.segments, *(case.before.segments if case.before else ())]
    mark(machine, segments, case.seed)
    before = nonzero_pages(machine.memory)
    may_change: set[int] = set()
    if case.before is not None:
        kernel.kexec_load(case.before)
        may_change |= frames_of(kernel.kexec_image)
        if case.unload_between:
            kernel.unload()
            assert kernel.pages.allocated == 0
    kernel.kexec_load(case.request)
    image = kernel.kexec_image
    assert image is not None
    assert kernel.pages.allocated == image.nr_pages == len(frames_of(image))
    given_back = changed(before, nonzero_pages(machine.memory)) - may_change - frames_of(image)
    assert not given_back & destinations(case.request.segments)
    kernels = [range(-(-ram.start // PAGE_SIZE), ram.end // PAGE_SIZE) for ram in machine.facts.allocatable]
    assert all(any(frame in ram for ram in kernels) for frame in given_back)
    return image


def handed_over(machine: Machine, request: LoadRequest) -> Run:
    run = execute(machine.memory, machine.kernel.reboot(), until=request.entry)
    assert run.reached
    return run


@pytest.mark.parametrize("policy", list(Policy))
def test_hand_over(policy: Policy) -> None:
    @facts_with
    @given(cases())
    def holds(case: Case) -> None:
        with Machine(case.facts, policy=policy, seed=case.seed) as machine:
            image = loaded(machine, case)
            before = nonzero_pages(machine.memory)
            handed_over(machine, case.request)
            after = nonzero_pages(machine.memory)
            assert not wrong(machine.memory, case.request.segments)
            may_change = destinations(case.request.segments)
            assert not may_change & set().union(*image.control_pages)
            assert changed(before, after) <= may_change | {control_code(machine, image)}

    holds()


@facts_with
@given(
    some_facts(crashkernel=32 * MIB).flatmap(lambda facts: st.tuples(st.just(facts), crash_requests(facts))), any_seed
)
def test_crash_hand_over(case: tuple[Facts, LoadRequest], seed: int) -> None:
    facts, request = case
    with Machine(facts, policy=list(Policy)[seed % len(Policy)], seed=seed) as machine:
        mark(machine, request.segments, seed)
        before = nonzero_pages(machine.memory)
        machine.kernel.kexec_load(request)
        image = machine.kernel.kexec_crash_image
        assert image is not None
        assert not wrong(machine.memory, request.segments)
        ready = nonzero_pages(machine.memory)
        (reservation,) = facts.crash_kernel
        inside = range(reservation.start >> PAGE_SHIFT, reservation.end >> PAGE_SHIFT)
        assert {frame for frame in changed(before, ready) if frame not in inside} <= set().union(
            *image.transition_pages
        )

        state = machine.kernel.crash_kexec()
        assert state is not None
        assert execute(machine.memory, state, until=request.entry).reached
        assert changed(ready, nonzero_pages(machine.memory)) <= {control_code(machine, image)}


def crash_requests(facts: Facts) -> st.SearchStrategy[LoadRequest]:
    (reservation,) = facts.crash_kernel
    window = reservation.start >> PAGE_SHIFT, reservation.end >> PAGE_SHIFT
    # Where no segment has a byte, control pages fill the reservation from its start: enter at its end.
    return requests([window], KexecFlags.ON_CRASH, reservation.end - PAGE_SIZE)


TWO_PAGES = LoadRequest(
    0x200_0000,
    (
        Segment(Readable.of(b"one" * 2000), 6000, 0x200_0000, 2 * PAGE_SIZE),
        Segment(Readable.of(b"low" * 1000), 3000, 0x1_0000, PAGE_SIZE),
    ),
)


@pytest.mark.parametrize("address", [0x1000, 0x100_0000, 0x200_2000, 4 * GIB, 5 * GIB - 1])
def test_the_check_sees_one_changed_byte(address: int) -> None:
    with Machine.of_pc(3 * GIB) as machine:
        machine.kernel.kexec_load(TWO_PAGES)
        handed_over(machine, TWO_PAGES)
        after = nonzero_pages(machine.memory)
        byte = machine.memory.read(address, 1)[0]
        machine.memory.write(address, bytes([byte ^ 1]))
        assert changed(after, nonzero_pages(machine.memory)) == {address >> PAGE_SHIFT}


@pytest.mark.parametrize("offset", [0, 5999, 6000, 2 * PAGE_SIZE - 1])
def test_the_check_sees_a_wrong_destination(offset: int) -> None:
    with Machine.of_pc(256 * MIB) as machine:
        machine.kernel.kexec_load(TWO_PAGES)
        handed_over(machine, TWO_PAGES)
        assert not wrong(machine.memory, TWO_PAGES.segments)
        byte = machine.memory.read(0x200_0000 + offset, 1)[0]
        machine.memory.write(0x200_0000 + offset, bytes([byte ^ 0x80]))
        assert wrong(machine.memory, TWO_PAGES.segments) == [TWO_PAGES.segments[0]]


def _other_destination(entry: int) -> int:
    return entry + 2 * PAGE_SIZE


def _no_source(entry: int) -> int:
    return Ind.DESTINATION | entry & -PAGE_SIZE


@pytest.mark.parametrize(
    ("number", "change", "stray"),
    [(0, _other_destination, {0x2002, 0x2003}), (1, _no_source, None)],
    ids=["destination", "source"],
)
def test_the_check_sees_a_damaged_page_list(number: int, change: Callable[[int], int], stray: set[int] | None) -> None:
    """The relocation code does what the list in memory says, and what it does is seen."""
    with Machine.of_pc(256 * MIB) as machine:
        machine.kernel.kexec_load(TWO_PAGES)
        image = machine.kernel.kexec_image
        assert image is not None
        address = image.entry_address(number)
        entry = int.from_bytes(machine.memory.read(address, 8), "little")
        machine.memory.write(address, change(entry).to_bytes(8, "little"))
        before = nonzero_pages(machine.memory)
        handed_over(machine, TWO_PAGES)
        assert wrong(machine.memory, TWO_PAGES.segments) == [TWO_PAGES.segments[0]]
        found = changed(before, nonzero_pages(machine.memory))
        found -= destinations(TWO_PAGES.segments) | {control_code(machine, image)}
        assert found == (stray if stray is not None else found) != set()

"""Physical memory: as bytes, it is an array; as a file, it is sparse."""

from __future__ import annotations

import os
import resource
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.kernels import KIB, MIB, pattern
from warmboot.errors import RefusedError
from warmboot.kernel import PhysicalMemory
from warmboot.memmap import Facts, Range
from warmboot.uapi import PAGE_SIZE, Joined, Readable

GIB, TIB = 1 << 30, 1 << 40
LOW = Range(0, 128 * KIB)
HIGH = Range(4 * GIB, 4 * GIB + 128 * KIB)
PAGES = 64  # of both banks

data = st.builds(pattern, st.integers(0, 4 * PAGE_SIZE) | st.integers(0, 20 * PAGE_SIZE), st.integers(0, 255))
operations = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, PAGES * PAGE_SIZE), data),
        st.tuples(st.just("copy_from"), st.integers(0, PAGES * PAGE_SIZE), data),
        st.tuples(st.just("clear"), st.integers(0, PAGES * PAGE_SIZE), data),
        st.tuples(st.just("view"), st.integers(0, PAGES * PAGE_SIZE), data),
        st.tuples(st.just("copy"), st.integers(0, PAGES * PAGE_SIZE), data),
    ),
    max_size=20,
)


def physical(offset: int) -> int:
    """The address of a byte of both banks laid end to end."""
    return offset if offset < LOW.end else offset - LOW.size + HIGH.start


def apply(memory: PhysicalMemory, reference: bytearray, operation: str, number: int, contents: bytes) -> None:
    """Do the same to a run of bytes of both."""
    bank_end = LOW.size if number < LOW.size else PAGES * PAGE_SIZE
    contents = contents[: bank_end - number]
    address = physical(number)
    if operation == "write":
        memory.write(address, contents)
    elif operation == "copy_from":
        source = Joined([memoryview(b"ab" + contents[:1000]), memoryview(contents[1000:])], align=1)
        zeros = len(contents) // 3
        contents = contents[: len(contents) - zeros] + bytes(zeros)
        memory.copy_from(address, source, 2, len(contents) - zeros, zeros)
    elif operation == "clear":
        contents = bytes(len(contents))
        memory.clear(address, len(contents))
    elif operation == "copy":  # from the other bank
        other = number - LOW.size if number >= LOW.size else number + LOW.size
        contents = bytes(
            reference[other : min(other + len(contents), LOW.size if other < LOW.size else len(reference))]
        )
        memory.copy(address, physical(other), len(contents))
    else:
        view = memory.view(address, len(contents))
        view[:] = contents
        view.release()
    reference[number : number + len(contents)] = contents


@given(steps=operations)
@settings(deadline=None, max_examples=150)
def test_memory_is_an_array_of_bytes(steps: list[tuple[str, int, bytes]]) -> None:
    reference = bytearray(PAGES * PAGE_SIZE)
    with PhysicalMemory([HIGH, LOW]) as memory:
        for operation, number, contents in steps:
            apply(memory, reference, operation, number, contents)
            assert memory.read(LOW.start, LOW.size) + memory.read(HIGH.start, HIGH.size) == reference
        # The banks follow one another in the file, and are mapped: what is written is seen everywhere.
        assert os.pread(memory.fd, PAGES * PAGE_SIZE, 0) == reference
        assert b"".join(bytes(bank.view) for bank in memory.banks) == reference
        assert [bank.offset for bank in memory.banks] == [0, LOW.size]
        assert memory.size == LOW.size + HIGH.size


@pytest.mark.parametrize(
    ("address", "size"),
    [
        (LOW.end, 1),
        (LOW.end - 1, 2),
        (HIGH.start - 1, 1),
        (HIGH.start - 1, 2),
        (HIGH.end, 1),
        (0, HIGH.end),
    ],
)
def test_what_does_not_exist_cannot_be_touched(address: int, size: int) -> None:
    with PhysicalMemory([LOW, HIGH]) as memory:
        assert not memory.has(address, size)
        for access in (memory.read, memory.view, memory.clear):
            with pytest.raises(ValueError, match="no memory at"):
                access(address, size)
        assert memory.has(LOW.end - 1, 1)
        assert memory.has(HIGH.start, HIGH.size)


def test_ranges_that_touch_are_one_bank() -> None:
    with PhysicalMemory([Range(0, MIB), Range(MIB, 2 * MIB)]) as memory:
        memory.write(MIB - 4, b"12345678")
        assert memory.read(MIB - 4, 8) == b"12345678"
        assert len(memory.banks) == 1


def test_a_terabyte_costs_what_was_touched() -> None:
    with PhysicalMemory([Range(0, 3 * GIB), Range(4 * GIB, TIB + GIB)]) as memory:
        assert memory.size == TIB
        assert memory.touched == 0
        memory.write(TIB, b"far away")
        memory.write(MIB - 1, b"near")
        assert memory.read(TIB, 8) == b"far away"
        assert memory.read(TIB // 2, 16) == bytes(16)
        assert 0 < memory.touched <= 64 * KIB
        memory.clear(0, 3 * GIB)
        memory.clear(4 * GIB, TIB - 3 * GIB)
        assert memory.touched == 0
        assert memory.read(TIB, 8) == bytes(8)


def test_progress_of_a_large_copy() -> None:
    contents = pattern(20 * MIB + 3)
    done: list[int] = []
    with PhysicalMemory([Range(0, 32 * MIB)]) as memory:
        memory.copy_from(MIB, Readable.of(contents), 0, len(contents), progress=done.append)
        assert memory.read(MIB, len(contents)) == contents
        assert sum(done) == len(contents)
        assert len(done) > 1


def test_many_small_pieces() -> None:
    contents = pattern(5000)
    pieces = Joined([memoryview(contents)[at : at + 1] for at in range(5000)], align=1)
    with PhysicalMemory([Range(0, MIB)]) as memory:
        memory.copy_from(10, pieces, 5, 4990)
        assert memory.read(10, 4990) == contents[5:4995]


def test_more_than_there_can_be() -> None:
    with pytest.raises(RefusedError, match="cannot be mapped") as raised:
        PhysicalMemory([Range(0, 1 << 62)])
    assert "less memory" in raised.value.hint


def test_closing_while_a_view_is_held() -> None:
    memory = PhysicalMemory([LOW])
    view = memory.view(0, 4)
    memory.close()
    memory.close()
    view[:] = b"1234"
    assert bytes(view) == b"1234"
    view.release()


@pytest.mark.parametrize(
    ("ram", "banks"),
    [
        ([(1, 1 << 20), (2 << 20, 1 << 31), (4 * GIB, 6 * GIB)], [(0, 1 << 31), (4 * GIB, 6 * GIB)]),
        ([(MIB, 8 * GIB)], [(0, 8 * GIB)]),  # RAM across 4 GiB in one piece
        ([(0, GIB - 5)], [(0, GIB)]),
        ([(0, GIB), (64 * TIB, 64 * TIB + GIB)], [(0, GIB), (64 * TIB, 64 * TIB + GIB)]),
        ([(0, GIB), (4 * GIB, 30 * TIB)], [(0, GIB), (4 * GIB, 16 * TIB + 3 * GIB)]),  # no image needs more
    ],
)
def test_the_memory_of_a_machine(ram: list[tuple[int, int]], banks: list[tuple[int, int]]) -> None:
    iomem = "".join(f"{start:08x}-{end - 1:08x} : System RAM\n" for start, end in ram)
    with PhysicalMemory.of(replace(Facts.of_pc(GIB), iomem=iomem)) as memory:
        assert [each.range for each in memory.banks] == [Range(*each) for each in banks]
        for start, end in banks:
            memory.write(start, b"first")
            assert memory.read(end - 4, 4) == bytes(4)
            assert memory.has(start, 5)
            assert not memory.has(end - 1, 2)
            with pytest.raises(ValueError, match="no memory at"):
                memory.read(end - 1, 2)


def test_a_machine_that_this_computer_cannot_map() -> None:
    pieces = (range(at, at + TIB) for at in range(64 * TIB, 82 * TIB, 2 * TIB))
    iomem = "".join(f"{each.start:x}-{each.stop - 1:x} : System RAM\n" for each in pieces)
    facts = replace(Facts.of_pc(GIB), iomem=iomem)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 42, hard))
    try:
        with pytest.raises(RefusedError, match="cannot be mapped") as caught:
            PhysicalMemory.of(facts)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert "ulimit" in caught.value.hint

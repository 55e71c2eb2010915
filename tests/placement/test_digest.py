"""The digests of what is loaded: every piece is hashed, by as many threads as there are processors."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from warmboot.placement import digest as module
from warmboot.placement.digest import digest_of, digest_regions
from warmboot.stubs.regions import BLOCK
from warmboot.uapi import PAGE_SIZE, Joined, Readable, Segment, Source

MIB = 1 << 20
HASHES: dict[str, Callable[..., Any]] = {"xxh64": xxhash.xxh64, "sha256": hashlib.sha256}


def segment(source: Source, mem: int, bufsz: int | None = None) -> Segment:
    size = source.readable if bufsz is None else bufsz
    return Segment(source, size, mem, -(-size // PAGE_SIZE) * PAGE_SIZE)


def content(each: Segment) -> bytes:
    return b"".join(map(bytes, each.buf.pieces(0, each.bufsz)))


def check(segments: list[Segment], pieces: int | None = None, algorithm: str = "xxh64") -> None:
    regions = digest_regions(segments, algorithm)
    at = 0
    for each in segments:
        data = content(each).ljust(-(-each.bufsz // BLOCK) * BLOCK, b"\0")
        done = 0
        while done < len(data):
            region = regions[at]
            assert region.start == each.mem + done
            assert region.size % BLOCK == 0
            assert region.digest == HASHES[algorithm](data[done : done + region.size]).digest()
            done += region.size
            at += 1
        assert done == len(data)
    assert at == len(regions)
    assert pieces is None or len(regions) == pieces


@given(
    sizes=st.lists(st.integers(0, 700), max_size=5),
    joined=st.lists(st.integers(0, 300), max_size=4),
    piece=st.sampled_from([64, 128, 320]),
    most=st.sampled_from([1, 3, 100]),
    alone=st.sampled_from([0, 10**9]),
    algorithm=st.sampled_from(list(HASHES)),
)
def test_every_byte_is_in_one_region(
    sizes: list[int], joined: list[int], piece: int, most: int, alone: int, algorithm: str
) -> None:
    data = Random(1)
    segments = [segment(Readable.of(data.randbytes(size)), 0x10_0000 * number) for number, size in enumerate(sizes)]
    segments.append(segment(Joined([memoryview(data.randbytes(size)) for size in joined]), 0x4000_0000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", piece)
        patch.setattr(module, "_MOST_PIECES", most)
        patch.setattr(module, "_ALONE", dict.fromkeys(HASHES, alone))
        check(segments, algorithm=algorithm)


def test_a_large_image_has_many_regions() -> None:
    data = Random(2).randbytes(3 * MIB)
    parts = [memoryview(data)] * 90
    check([segment(Joined(parts), 0x100_0000), segment(Readable.of(b"x" * 65), 0x8000_0000)], 69)


def test_it_is_hashed_by_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(4)))
    seen: set[int] = set()
    all_there = threading.Barrier(4, timeout=30)

    def watched(each: Segment, offset: int, size: int, new: Callable[[], Any]) -> bytes:
        if threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            all_there.wait()  # nobody goes on alone
        return digest_of(each, offset, size, new)

    monkeypatch.setattr(module, "digest_of", watched)
    check([segment(Readable.of(bytes(32 * MIB)), 0x100_0000)], 8)
    assert len(seen) == 4
    assert threading.active_count() == 1


def test_a_small_image_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Thread", None)
    check([segment(Readable.of(bytes(7 * MIB)), 0x100_0000)], 2)


@pytest.mark.parametrize("number", [0, 7])
def test_what_a_thread_raises_is_raised(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})

    def fails(_: Segment, offset: int, size: int, _new: Callable[[], Any]) -> bytes:
        if offset == number * 4 * MIB:
            raise OSError("the file is gone")
        return bytes(8)

    monkeypatch.setattr(module, "digest_of", fails)
    with pytest.raises(OSError, match="the file is gone"):
        digest_regions([segment(Readable.of(bytes(32 * MIB)), 0x100_0000)], "xxh64")
    assert threading.active_count() == 1


@pytest.mark.parametrize("algorithm", HASHES)
def test_nothing_is_copied(monkeypatch: pytest.MonkeyPatch, algorithm: str) -> None:
    """The hash is given the very memory that the source has."""
    data = bytearray(20 * MIB)
    updates: list[memoryview] = []

    class Watched:
        def update(self, piece: memoryview) -> None:
            updates.append(piece)

        def digest(self) -> bytes:
            return bytes(32)

    monkeypatch.setattr({"xxh64": xxhash, "sha256": hashlib}[algorithm], algorithm, Watched)
    digest_regions([segment(Readable.of(data), 0x100_0000)], algorithm)
    assert all(each.obj is data for each in updates if len(each))
    assert sum(len(each) for each in updates) == len(data)


def test_without_its_library_it_is_sha256(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xxhash", None)
    [region] = digest_regions([segment(Readable.of(b"x" * 64), 0x100_0000)], "xxh64")
    assert (region.algorithm, region.digest) == ("sha256", hashlib.sha256(b"x" * 64).digest())


def test_progress_is_told_in_the_callers_thread() -> None:
    told: list[tuple[int, int, int]] = []
    data = Readable.of(bytes(40 * MIB))
    digest_regions([segment(data, 0)], "xxh64", lambda done, total: told.append((done, total, threading.get_ident())))
    assert told
    assert {(total, thread) for _, total, thread in told} == {(40 * MIB, threading.get_ident())}
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1][0] <= 40 * MIB

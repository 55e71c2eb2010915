"""Zones of persistent RAM, as fs/pstore writes them: rings, records, and what is no zone; test_qemu_memory has a real
one."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.dump.interface import DumpError
from warmboot.dump.ramoops import _found, zones_of_file
from warmboot.memmap.range_set import RangeSet

PAGE = 4096
LINES = "".join(f"[{number:5}.{number:06}] line {number}\n" for number in range(40))


def ring(text: bytes, capacity: int) -> bytes:
    """struct persistent_ram_buffer after all of `text` was written, as persistent_ram_write() does it."""
    data, start, size = bytearray(capacity), 0, 0
    for each in text:
        data[start] = each
        start, size = (start + 1) % capacity, min(size + 1, capacity)
    start = start or (capacity if size == capacity else 0)
    return struct.pack("<4sII", b"DBGC", start % capacity if size == capacity else start, size) + data


def record(text: bytes, *, packed: bool) -> bytes:
    head = b"====1795712081.410256-" + (b"C\n" if packed else b"D\n")
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = head + (deflate.compress(text) + deflate.flush() if packed else text)
    return struct.pack("<4sII", b"DBGC", len(data), len(data)) + data


@pytest.mark.parametrize("capacity", [300, 1000, 2000, 8000])
def test_zones_of_a_file(capacity: int, tmp_path: Path) -> None:
    zones = [
        record(b"Panic#1 Part1\n" + LINES.encode(), packed=True),
        record(b"Oops#2 Part1\n" + LINES.encode(), packed=False),
        ring(LINES.encode(), capacity),
        ring(b"", capacity),
        ring(b"what a program said\n", capacity),
    ]
    path = tmp_path / "zones"
    path.write_bytes(b"".join(each.ljust(3 * PAGE, b"\0") for each in zones))
    found = zones_of_file(path)
    assert [(each.at // (3 * PAGE), each.kind) for each in found] == [
        *((0, "dmesg"), (1, "dmesg"), (2, "console"), (4, "pmsg")),
    ]
    assert [each.text for each in found] == [
        f"Panic#1 Part1\n{LINES}",
        f"Oops#2 Part1\n{LINES}",
        LINES[-min(capacity, len(LINES)) :],
        "what a program said\n",
    ]
    assert found[0].time == pytest.approx(1795712081.410256)
    assert all(each.problem == "" for each in found)


def test_a_record_that_is_damaged(tmp_path: Path) -> None:
    text = b"".join(b"[%5d.000000] a line that is number %d of the log\n" % (each, each * each) for each in range(400))
    data = bytearray(record(b"Panic#1 Part1\n" + text, packed=True))
    data[len(data) // 2 : len(data) // 2 + 40] = b"\xff" * 40
    (tmp_path / "zone").write_bytes(bytes(data))
    [zone] = zones_of_file(tmp_path / "zone")
    assert zone.problem
    assert zone.text.startswith("Panic#1 Part1\n")
    assert zone.text[: len(zone.text) // 4] in ("Panic#1 Part1\n" + text.decode())


@given(st.binary(max_size=200), st.integers(0, 1 << 32), st.integers(0, 1 << 32), st.integers(0, 64))
def test_whatever_follows_a_signature(data: bytes, start: int, size: int, cut: int) -> None:
    memory = (b"DBGC" + start.to_bytes(5, "little")[:4] + size.to_bytes(5, "little")[:4] + data)[: 212 - cut]

    def read(at: int, count: int) -> bytes:
        if at + count > len(memory):
            raise DumpError("beyond", hint="none")
        return memory[at : at + count]

    for zone in _found(RangeSet([(0, len(memory))]), read):
        assert zone.kind in ("dmesg", "console", "pmsg")
        assert len(zone.text) <= 16 << 20

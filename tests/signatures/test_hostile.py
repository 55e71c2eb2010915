"""Signatures, keyrings and EFI's variables that are made to cost or to lie: one clear error each, in bounded time."""

from __future__ import annotations

import errno
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.hostile_signatures import READERS, der, hostile
from warmboot.signatures.der import BROKEN, _values, check_whole, values
from warmboot.signatures.efi_lists import signature_lists
from warmboot.signatures.figures import signature_figures
from warmboot.signatures.pkcs7 import parse_message
from warmboot.signatures.refused import SignatureError

MOST = 96 << 20  # bytes: some copies of 10 MiB


@pytest.mark.parametrize("name", hostile())
def test_each_is_read_or_refused_within_bounds(name: str) -> None:
    """Before, an endless object identifier took minutes, and so did a tag of a megabyte."""
    kind, data = hostile()[name]
    said = "read"
    tracemalloc.start()
    try:
        READERS[kind](data)
    except SignatureError as error:
        said = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MOST
    assert 0 < len(said) < 300
    assert "\n" not in said


def test_work_is_linear_in_the_number_of_values() -> None:
    """Counted, not timed: the bytes that are copied for n values of two bytes."""

    class Counted(bytes):
        copied = 0

        def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 - as bytes has it
            found = super().__getitem__(key)
            if isinstance(found, bytes):
                Counted.copied += len(found)
            return found

    costs = []
    for count in (1000, 4000):
        Counted.copied = 0
        assert len(_values(Counted(b"\5\0" * count))) == count
        costs.append(Counted.copied)
    assert costs[1] <= 5 * costs[0]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\x3f\x81\1\0", "a tag of several bytes"),
        (b"\x30\x85\xff\xff\xff\xff\xff", "is cut off"),
        (b"\x30\xff" + b"\xff" * 200, "endlessly many bytes"),
        (b"\x30\x03\5\0", "is cut off"),
        (der(0x30, der(6, b"\x81" * 64 + b"\1")), "an object identifier of 65 bytes"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, complaint: str) -> None:
    with pytest.raises(SignatureError, match=complaint) as caught:
        parse_message(data)
    assert caught.value.errno == errno.EBADMSG


def test_a_number_that_is_wrong_is_not_shown_whole() -> None:
    kind, data = hostile()["message: endless version"]
    with pytest.raises(SignatureError, match="version 0101010101010101: Linux takes 1 and 3"):
        READERS[kind](data)


def test_more_entries_than_firmware_keeps() -> None:
    kind, data = hostile()["db: many lists"]
    assert kind == "db"
    with pytest.raises(SignatureError, match="more than 20000 entries"):
        list(signature_lists(data, "db"))


@given(st.binary(max_size=300))
def test_values_are_whole(data: bytes) -> None:
    """What is taken apart is all that there was, in order; or it is refused."""
    with suppress(*BROKEN):
        parts = values(der(0x30, data))
        assert b"".join(parts) == data


def _tables() -> st.SearchStrategy[bytes]:
    """Certificate tables: entries of any length, revision and type, one after the other, aligned or not."""
    entry = st.builds(
        lambda length, revision, kind, body: struct.pack("<IHH", length, revision, kind) + body,
        st.one_of(st.integers(0, 64), st.sampled_from([0xFFFF_FFFF, 0x8000_0000, 1 << 16])),
        st.sampled_from([0x100, 0x200, 0, 0xFFFF]),
        st.sampled_from([0, 1, 2, 3, 0xFFFF]),
        st.one_of(
            st.binary(max_size=40), st.sampled_from([b"\x30\x80", b"\x30\x84\xff\xff\xff\xff", der(0x30, b"\5\0")])
        ),
    )
    return st.lists(entry, max_size=4).map(b"".join)


def _program(at: int, size: int, table: bytes, sections: list[tuple[int, int]]) -> bytes:
    """A PE file with that directory entry, and sections of those sizes and places."""
    optional = bytearray(struct.pack("<H", 0x20B).ljust(240, b"\0"))
    struct.pack_into("<I", optional, 60, 512)
    struct.pack_into("<I", optional, 108, 16)
    struct.pack_into("<II", optional, 112 + 4 * 8, at, size)
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40)
    head += struct.pack("<4sHHIIIHH", b"PE\0\0", 0x8664, len(sections), 0, 0, 0, len(optional), 0x22E) + optional
    for each in sections:
        head += struct.pack("<8sIIII16x", b".text", 0, 0, *each)
    return head.ljust(1024, b"\0") + table


_NEAR = st.one_of(st.integers(0, 1200), st.sampled_from([0xFFFF_FFFF, 0x8000_0000, 0x7FFF_FFFF]))


@settings(max_examples=300)
@given(_NEAR, _NEAR, _tables(), st.lists(st.tuples(_NEAR, _NEAR), max_size=3))
def test_tables_that_lie(at: int, size: int, table: bytes, sections: list[tuple[int, int]]) -> None:
    """Sizes, offsets beyond, overlapping, unaligned, several entries, wrong revisions and types."""
    figures = signature_figures(memoryview(_program(at, size, table, sections)), "file")
    assert not figures.sound
    assert figures.errno is not None
    assert figures.problem


@settings(max_examples=300)
@given(st.data())
def test_signed_messages_that_are_changed(data: st.DataObject) -> None:
    """Any bytes in a message: it is read, or there is one error."""
    whole = bytearray(hostile()["message: many whole certificates"][1][:4000])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    read: Callable[[bytes], object] = READERS["message"]
    with suppress(SignatureError):
        read(bytes(whole))


def test_depth_is_bounded() -> None:
    deep = b""
    for _ in range(30):
        deep = der(0x30, deep)
    with pytest.raises(ValueError, match="values in values"):
        check_whole(deep)

"""Files with any content: every format cut and changed anywhere is understood, or refused in words for people."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.formats import LZ4_LEGACY, samples
from warmboot.errors import InputError, RefusedError, WarmbootError
from warmboot.images import identify_bytes


def understood(data: bytes) -> None:
    """Whatever it is: a kernel within its file, or an error for people."""
    refused: WarmbootError | None = None
    try:
        image = identify_bytes(memoryview(data), "file")
    except (InputError, RefusedError) as error:
        refused = error
    if refused is not None:
        assert str(refused).startswith("file: ")
        assert str(refused).isprintable()
        assert refused.hint
        return
    assert image.version.isprintable()
    for segment in getattr(image, "segments", ()):
        assert segment.memsz > 0
        assert len(segment.data) <= segment.memsz
        assert 0 <= segment.paddr < segment.end <= 1 << 64
    for initrd in getattr(image, "initrds", ()):
        assert len(initrd) <= len(image.file)


@pytest.mark.parametrize("name", [*samples()])
def test_cut_at_every_byte_of_its_headers(name: str) -> None:
    for size in range(600):
        understood(samples()[name][:size])


@pytest.mark.parametrize("name", [*samples()])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(choice=st.data())
def test_any_change_to_any_format(name: str, choice: st.DataObject) -> None:
    """Cut at any byte, and with any bytes changed: most of them where the headers are."""
    data = bytearray(samples()[name])
    where = st.integers(0, min(len(data), 600) - 1) | st.integers(0, len(data) - 1)
    value = st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
    for offset, byte in choice.draw(st.dictionaries(where, value, max_size=6)).items():
        data[offset] = byte
    for offset in choice.draw(st.lists(st.integers(0, min(len(data), 600) - 8), max_size=2)):
        data[offset : offset + 4] = choice.draw(
            st.sampled_from([b"\xff" * 4, bytes(4), b"\0\0\0\x80", b"\xff\xff\xff\x7f"])
        )
    size = choice.draw(st.none() | st.integers(0, len(data)))
    understood(bytes(data[:size]))


@settings(max_examples=300, deadline=None)
@given(
    magic=st.sampled_from(
        [
            *(b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"\x04\x22\x4d\x18", LZ4_LEGACY, b"\x5d\0\0\x80\0"),
            *(b"\x7fELF\x01\x01\x01", b"\x7fELF\x02\x01\x01", b"MZ\0\0zimg", b"\xd6\x50\x52\xe8", b"\x02\xb0\xad\x1b"),
        ]
    ),
    rest=st.binary(max_size=300),
)
def test_any_bytes_behind_any_magic(magic: bytes, rest: bytes) -> None:
    understood(magic + rest)

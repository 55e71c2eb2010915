"""uapi: numbers against Debian's own header, structures and sources."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.debian import Suite, unpack
from warmboot.uapi import (
    COMPAT_SEGMENT,
    KEXEC_ARCH_MASK,
    KEXEC_SEGMENT_MAX,
    PAGE_SIZE,
    SEGMENT,
    Joined,
    KexecArch,
    KexecFileFlags,
    KexecFlags,
    Readable,
    Segment,
    SegmentTable,
    page_align,
)

_DEFINE = re.compile(r"^#define\s+(KEXEC_\w+)\s+(0x[0-9a-f]+|\d+|\(\s*\d+\s*<<\s*\d+\s*\))", re.MULTILINE)
_RENAMED = {"386": "I386", "68K": "M68K"}  # a Python name cannot begin with a digit


@pytest.fixture(scope="session")
def header(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """The numbers of <linux/kexec.h> as the newest Debian ships it."""
    suite = Suite("sid")
    folder = tmp_path_factory.mktemp("linux-libc-dev")
    for package in suite.fetch([suite.newest("^linux-libc-dev$")]):
        unpack(package, folder)
    [path] = [each for each in folder.rglob("linux/kexec.h") if "/uapi/" not in str(each)]
    return {name: _number(text) for name, text in _DEFINE.findall(Path(path).read_text())}


def _number(text: str) -> int:
    if "<<" not in text:
        return int(text, 0)
    value, shift = re.findall(r"\d+", text)
    return int(value) << int(shift)


def test_every_number_of_the_header_is_there_and_no_other(header: dict[str, int]) -> None:
    ours = {f"KEXEC_{flag.name}": int(flag) for flag in KexecFlags}
    ours |= {f"KEXEC_FILE_{flag.name}": int(flag) for flag in KexecFileFlags}
    header_names = {new: old for old, new in _RENAMED.items()}
    ours |= {f"KEXEC_ARCH_{header_names.get(arch.name, arch.name)}": int(arch) for arch in KexecArch}
    ours |= {"KEXEC_ARCH_MASK": KEXEC_ARCH_MASK, "KEXEC_SEGMENT_MAX": KEXEC_SEGMENT_MAX}
    assert ours == header


def test_the_structures_are_as_large_as_c_makes_them() -> None:
    assert SEGMENT.size == struct.calcsize("@PNPN")
    assert COMPAT_SEGMENT.size == 16


def test_a_32_bit_caller_s_numbers_are_cut() -> None:
    wide = Segment(Readable.of(b""), 0x1_0000_0001, 0x2_0000_1000, 0x3_0000_2000)
    cut = wide.as_compat()
    assert (cut.bufsz, cut.mem, cut.memsz) == (1, 0x1000, 0x2000)


def test_a_table_reads_as_zeros_behind_its_last_entry() -> None:
    one = Segment(Readable.of(b"x"), 1, PAGE_SIZE, PAGE_SIZE)
    first, second = SegmentTable([one]).take(2)
    assert first is one
    assert (second.buf.readable, second.bufsz, second.mem, second.memsz) == (0, 0, 0, 0)


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(0, 260), st.integers(0, 260))
def test_joined_parts_read_as_one_run_at_multiples_of_four(parts: list[bytes], offset: int, size: int) -> None:
    whole = b""
    for part in parts:
        whole += bytes(-len(whole) % 4) + part
    joined = Joined([memoryview(part) for part in parts])
    assert joined.readable == len(whole)
    size = max(0, min(size, len(whole) - offset))
    assert b"".join(joined.pieces(offset, size)) == whole[offset : offset + size]


def test_the_same_part_twice_is_padded_between() -> None:
    part = memoryview(b"abc")
    assert b"".join(Joined([part, part]).pieces(0, 7)) == b"abc\0abc"


@given(st.integers(0, 1 << 40))
def test_page_align_is_the_next_multiple(size: int) -> None:
    aligned = page_align(size)
    assert aligned % PAGE_SIZE == 0
    assert 0 <= aligned - size < PAGE_SIZE

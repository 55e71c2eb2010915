"""XXH64 of the stubs, run by this very processor, beside the library that computes what it is compared with."""

from __future__ import annotations

import struct
from pathlib import Path
from random import Random

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from support.native import Native
from warmboot.stubs.build import build

# First where each implementation begins; then a function by the C calling convention: rdi the blocks, rsi how many.
WRAPPER = """
.intel_syntax noprefix
.code64
	.quad	xxh64_lanes_bmi2, xxh64_lanes_plain
	push	rbx
	push	r12
	push	r13
	push	r14
	push	r15
	mov	rcx, rsi
	mov	rsi, rdi
	call	xxh64_blocks
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	rbx
	ret
.include "xxh64.inc.S"
"""
ENTRY = 16  # bytes of the table before it
WAYS = ["bmi2", "plain"]
RET = b"\xc3"


def has_bmi2() -> bool:
    return " bmi2 " in f"{Path('/proc/cpuinfo').read_text()} ".replace("\n", " ")


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    source = tmp_path_factory.mktemp("xxh64") / "wrapper.S"
    source.write_text(WRAPPER)
    return build(source)


def starts(code: bytes) -> dict[str, int]:
    return dict(zip(WAYS, struct.unpack_from("<2Q", code), strict=True))


def by(code: bytes, way: str) -> bytes:
    """The code with a jump to one implementation where the one begins that this processor would take."""
    there, at = starts(code)[way], starts(code)["bmi2" if has_bmi2() else "plain"]
    return code if there == at else code[:at] + b"\xe9" + struct.pack("<i", there - at - 5) + code[at + 5 :]


@pytest.mark.parametrize("way", WAYS if has_bmi2() else ["plain"])
@settings(max_examples=100)
@given(count=st.integers(0, 70), seed=st.integers(0, 2**32))
def test_every_implementation_agrees_with_the_library(code: bytes, way: str, count: int, seed: int) -> None:
    data = Random(seed).randbytes(64 * count)
    with Native(by(code, way), ENTRY) as native:
        assert native(data, count) == xxhash.xxh64(data).intdigest()


@pytest.mark.parametrize("way", WAYS)
def test_the_choice_is_the_best_that_the_processor_can(code: bytes, way: str) -> None:
    """With an implementation replaced by a return, the digest is wrong where that is the one that is chosen."""
    at, data = starts(code)[way], Random(3).randbytes(128)
    with Native(code[:at] + RET + code[at + 1 :], ENTRY) as native:
        is_chosen = native(data, 2) != xxhash.xxh64(data).intdigest()
    assert is_chosen == (way == ("bmi2" if has_bmi2() else "plain"))


@pytest.mark.parametrize("flipped", [None, 0, 1, 511, 4096 * 8, (4 << 20) * 8 - 1])
def test_a_bit_of_a_piece_makes_a_difference(code: bytes, flipped: int | None) -> None:
    data = bytearray(Random(2).randbytes(4 << 20))
    right = xxhash.xxh64(data).intdigest()
    if flipped is not None:
        data[flipped // 8] ^= 1 << flipped % 8
    with Native(code, ENTRY) as native:
        assert (native(bytes(data), len(data) // 64) == right) == (flipped is None)

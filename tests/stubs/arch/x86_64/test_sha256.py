"""SHA-256 of the stubs, run by this very processor, which has instructions that no emulator of ours has."""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmboot.stubs.build import build

# Functions by the C calling convention, in the order of FUNCTIONS, each at a multiple of 64 bytes:
# rdi the hash value, rsi what is hashed, rdx blocks (of sha256_finish: bytes so far).
WRAPPER = """
.intel_syntax noprefix
.code64
.irp function, sha256_blocks, sha256_blocks_sha_ni, sha256_blocks_bmi2, sha256_blocks_plain, sha256_start, sha256_finish
	.balign	64
	push	rbx
	push	rbp
	push	r12
	push	r13
	push	r14
	push	r15
	mov	rcx, rdx
	call	\\function
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	rbp
	pop	rbx
	ret
.endr
	.balign	64
	.quad	sha256_blocks_sha_ni, sha256_blocks_bmi2, sha256_blocks_plain
.include "sha256.inc.S"
"""
FUNCTIONS = ("sha256_blocks", "sha256_blocks_sha_ni", "sha256_blocks_bmi2", "sha256_blocks_plain", "start", "finish")
NEEDS = {"sha256_blocks_sha_ni": {"sha_ni", "ssse3", "sse4_1"}, "sha256_blocks_bmi2": {"bmi2"}}

Function = Callable[..., None]


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    source = tmp_path_factory.mktemp("sha256") / "wrapper.S"
    source.write_text(WRAPPER)
    return build(source)


@contextmanager
def mapped(code: bytes) -> Iterator[dict[str, Function]]:
    """The functions, executable."""
    page = mmap.mmap(-1, len(code), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    held = ctypes.c_char.from_buffer(page)
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    yield {name: prototype(ctypes.addressof(held) + 64 * number) for number, name in enumerate(FUNCTIONS)}
    del held
    page.close()


@pytest.fixture(scope="module")
def native(code: bytes) -> Iterator[dict[str, Function]]:
    with mapped(code) as functions:
        yield functions


def processor() -> set[str]:
    flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    return set(flags.partition(":")[2].split())


def paths() -> list[str]:
    """The implementations that this processor can run: the choice by CPUID, and each for itself."""
    return [name for name in FUNCTIONS[:4] if NEEDS.get(name, set()) <= processor()]


def digest(native: dict[str, Function], blocks: str, data: bytes) -> bytes:
    value = ctypes.create_string_buffer(32)
    native["start"](value, None, 0)
    native[blocks](value, data, len(data) // 64)
    native["finish"](value, None, len(data))
    return struct.pack(">8I", *struct.unpack("<8I", value.raw))


@pytest.mark.parametrize("blocks", paths())
@settings(max_examples=100)
@given(count=st.integers(0, 40), seed=st.integers(0, 2**32))
def test_every_implementation_agrees_with_hashlib(
    native: dict[str, Function], blocks: str, count: int, seed: int
) -> None:
    data = Random(seed).randbytes(64 * count)
    assert digest(native, blocks, data) == hashlib.sha256(data).digest()


@pytest.mark.parametrize("blocks", paths())
def test_a_hash_may_be_taken_in_parts(native: dict[str, Function], blocks: str) -> None:
    data = Random(1).randbytes(64 * 9)
    value = ctypes.create_string_buffer(32)
    native["start"](value, None, 0)
    for part in (data[:64], b"", data[64:256], data[256:]):
        native[blocks](value, part, len(part) // 64)
    native["finish"](value, None, len(data))
    assert struct.pack(">8I", *struct.unpack("<8I", value.raw)) == hashlib.sha256(data).digest()


@pytest.mark.parametrize("blocks", FUNCTIONS[1:4])
def test_the_choice_is_the_best_that_the_processor_can(code: bytes, blocks: str) -> None:
    """With each implementation replaced by a return, the digest is wrong where that is the one that is chosen."""
    start = struct.unpack_from("<3Q", code, 64 * len(FUNCTIONS))[FUNCTIONS.index(blocks) - 1]
    with mapped(code[:start] + b"\xc3" + code[start + 1 :]) as native:
        data = bytes(128)
        is_chosen = digest(native, "sha256_blocks", data) != hashlib.sha256(data).digest()
    assert is_chosen == (blocks == next(name for name in FUNCTIONS[1:4] if name in paths()))

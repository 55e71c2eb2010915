"""Who signed a kernel: Debian's own, by name; and any bytes are read."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from warmboot.debian import kernel
from warmboot.formats.pe import certificate_table
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.signatures.signers import signers

_SIGNED = kernel("6.12").read_bytes()


def test_debian_signs_its_kernels() -> None:
    (name,) = signers(memoryview(_SIGNED))
    assert name.startswith("Debian Secure Boot Signer")


def test_what_nobody_signed() -> None:
    assert signers(memoryview(demo_kernel())) == ()
    assert signers(memoryview(b"")) == ()


@given(st.integers(0, 1 << 12), st.binary(max_size=40))
@settings(max_examples=100, deadline=None)
def test_a_damaged_signature_is_read(offset: int, data: bytes) -> None:
    found = certificate_table(memoryview(_SIGNED))
    assert found is not None
    at, size = found
    damaged = bytearray(_SIGNED[: at + size])
    where = at + offset % size
    damaged[where : where + len(data)] = data
    assert all(isinstance(each, str) for each in signers(memoryview(bytes(damaged))))

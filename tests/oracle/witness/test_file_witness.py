"""File-loaded images under real Linux and under the model: what they find is the same, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from warmboot.debian import kernel
from warmboot.kernel.profile import profile_named
from warmboot.oracle.witness.arch.x86_64.file_load import file_header, random_seed
from warmboot.oracle.witness.file_machines import FILE_MACHINES
from warmboot.oracle.witness.file_witness import FileVerdict, FileWitness

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]


BOOTED = [("6.1", "hot processors"), ("6.12", "moved"), ("7.2", "hot memory")]


@pytest.fixture(scope="module", params=BOOTED, ids=[each for each, _ in BOOTED])
def booted(request: pytest.FixtureRequest) -> Iterator[FileWitness]:
    series, name = request.param
    machine = next(each for each in FILE_MACHINES if each.name == name)
    with FileWitness(kernel(series), machine, kernels=[kernel("5.10")]) as witness:
        yield witness


@pytest.mark.parametrize("crash", [False, True], ids=["normal", "crash"])
def test_linux_and_the_model_agree(booted: FileWitness, crash: bool) -> None:
    told = booted.ask(booted.layout(1, 1, crash=crash))
    assert [str(each) for each in told.differences] == []
    assert not told.refused


@pytest.mark.parametrize("booted", BOOTED[:1], indirect=True, ids=["6.1"])
def test_both_refuse_alike(booted: FileWitness) -> None:
    layout = replace(booted.layout(1, 1, crash=False), flags=0, initrd_size=0)
    assert booted.ask(layout) == FileVerdict(layout, (), "EINVAL")


@pytest.mark.parametrize("booted", BOOTED[:1], indirect=True, ids=["6.1"])
def test_a_lie_is_found_out(booted: FileWitness) -> None:
    """The model follows the rules of another release."""
    told = booted.ask(booted.layout(1, 1, crash=False), profile_named("linux-5.10"))
    assert told.differences  # it puts things elsewhere, or tells no seed


def test_a_seed_is_found_in_a_list_that_may_be_endless() -> None:
    page = bytearray(file_header(1 << 20, 4096, 0).ljust(4096, b"\0"))
    assert random_seed(bytes(page), 0x1000) == 0
    page[0x250:0x258] = (0x1000 + 0xE00).to_bytes(8, "little")
    page[0xE00:0xE08] = (0x1000 + 0xE00).to_bytes(8, "little")  # its own successor
    assert random_seed(bytes(page), 0x1000) == 0
    page[0xE08] = 9
    assert random_seed(bytes(page), 0x1000) == 0xE10

"""What is seen of a file before kexec_file_load reads it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from warmboot.live.file_facts import file_facts
from warmboot.uapi import FileFacts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinuz"
    path.write_bytes(b"x" * 100)
    return path


def seen(path: Path, flags: int = os.O_RDONLY) -> FileFacts:
    fd = os.open(path, flags)
    try:
        return file_facts(fd)
    finally:
        os.close(fd)


def test_a_regular_file(path: Path) -> None:
    facts = seen(path)
    assert facts[:3] == (100, True, True)
    assert facts.writers in (False, None)  # None where the file system has no leases


def test_a_file_that_somebody_writes_to(path: Path) -> None:
    leases = seen(path).writers is not None
    before = signal.getsignal(signal.SIGIO)
    with path.open("ab"):
        assert seen(path).writers is (True if leases else None)
    assert signal.getsignal(signal.SIGIO) == before
    assert seen(path).writers is (False if leases else None)


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_PATH])
def test_a_file_that_is_not_open_for_reading(path: Path, flags: int) -> None:
    assert not seen(path, flags).readable


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    assert not seen(tmp_path).regular
    reader, writer = os.pipe()
    try:
        assert file_facts(reader)[1:3] == (False, True)
    finally:
        os.close(reader)
        os.close(writer)


def test_a_descriptor_that_is_closed(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    os.close(fd)
    assert not file_facts(fd).readable

"""Multiboot modules by name: unpacked where they are one packed stream, and else as they are."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest
import zstandard

from warmboot.errors import InputError, RefusedError
from warmboot.placement.modules import read_module

CPIO = b"070701" + b"an archive" * 100


def read(path: Path, content: bytes) -> bytes:
    path.write_bytes(content)
    module = read_module(f"{path} console=hvc0")
    assert module.command_line == f"{path} console=hvc0"
    return bytes(module.data)


def test_a_packed_module_is_unpacked(tmp_path: Path) -> None:
    for pack in (gzip.compress, lzma.compress, zstandard.ZstdCompressor().compress):
        assert read(tmp_path / "module", pack(CPIO)) == CPIO


def test_several_archives_are_passed_as_they_are(tmp_path: Path) -> None:
    """As a dom0's initrd is: microcode, or modules, and then the rest. Nothing is lost, whatever comes first."""
    packs = (gzip.compress, lzma.compress, zstandard.ZstdCompressor().compress)
    for first in packs:
        for padding in (b"", bytes(3), bytes(512)):
            for second in (CPIO, *(pack(CPIO) for pack in packs)):
                whole = first(CPIO) + padding + second
                assert read(tmp_path / "initrd", whole) == whole
    whole = CPIO + gzip.compress(CPIO)  # once: it has the time in it
    assert read(tmp_path / "initrd", whole) == whole


def test_a_module_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file is named"):
        read_module("")
    with pytest.raises(InputError, match="the gzip data are cut short"):
        read(tmp_path / "module", gzip.compress(CPIO)[:-9])


def test_a_module_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmboot.placement.modules._LARGEST", 16 << 20)
    with pytest.raises(RefusedError, match="more than 16 MiB when unpacked"):
        read(tmp_path / "module", zstandard.ZstdCompressor().compress(bytes(17 << 20)))


def test_another_way_to_open_files() -> None:
    assert bytes(read_module("name words", lambda name: memoryview(name.encode())).data) == b"name"

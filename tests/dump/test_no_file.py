"""What is no file is neither replaced by a dump nor waited for: pipes, sockets, folders, and links to them."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from warmboot.dump.interface import NoDumpError
from warmboot.dump.opening import open_dump
from warmboot.dump.sinks import FileSink
from warmboot.errors import RefusedError
from warmboot.fleet.parquet import Parquet
from warmboot.rehearsal.capture.room import DumpDisk


def sink(path: Path) -> None:
    FileSink(path, force=True)


def disk(path: Path) -> None:
    with ExitStack() as stack:
        DumpDisk(1 << 20, path, stack)


@pytest.fixture(params=["pipe", "socket", "folder", "link"])
def no_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "it"
    match request.param:
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(str(path))
        case "folder":
            path.mkdir()
        case _:
            os.mkfifo(tmp_path.parent / f"{tmp_path.name}-pipe")
            path.symlink_to(tmp_path.parent / f"{tmp_path.name}-pipe")
    return path


@pytest.mark.parametrize("write", [sink, disk, Parquet])
def test_only_a_file_is_replaced(write: Callable[[Path], object], no_file: Path) -> None:
    before = no_file.lstat()
    with pytest.raises(RefusedError, match="which no file replaces"):
        write(no_file)
    after = no_file.lstat()
    assert (after.st_ino, stat.S_IFMT(after.st_mode)) == (before.st_ino, stat.S_IFMT(before.st_mode))
    assert [each.name for each in no_file.parent.iterdir()] == ["it"]


@pytest.mark.parametrize("write", [sink, disk])
def test_a_file_is_replaced(write: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_text("old")
    write(path)
    write(tmp_path / "new")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "it"
    os.mkfifo(path)
    with pytest.raises(NoDumpError, match="cannot be read"):
        open_dump(path)

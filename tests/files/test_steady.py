"""Mapped files that are written or cut while they are read."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from warmboot.errors import InputError
from warmboot.files.mapped import map_file
from warmboot.files.steady import changed_files, check_unchanged

_MIB = 1 << 20


def overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"x")


def same_size_and_mtime(path: Path) -> None:
    before = path.stat()
    overwritten(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # only ctime tells


@pytest.mark.parametrize(
    "change", [overwritten, same_size_and_mtime, lambda path: os.truncate(path, 5), lambda path: path.write_bytes(b"")]
)
def test_a_change_is_seen(change: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(10000))
    data = map_file(path)
    check_unchanged([path])
    while path.stat().st_ctime_ns >= _fresh_time(tmp_path):  # a file system's clock goes in steps
        pass
    change(path)
    assert str(path) in changed_files()
    with pytest.raises(InputError, match="changed while it was read"):
        check_unchanged([path])
    data.release()
    gc.collect()
    check_unchanged([path])


def _fresh_time(folder: Path) -> int:
    path = folder / "clock"
    path.write_bytes(b"")
    return path.stat().st_ctime_ns


def test_a_name_that_leads_elsewhere_changes_no_bytes(tmp_path: Path) -> None:
    """Renaming another file to its name is how a file is replaced without harm: the mapped one stays as it was."""
    link, file, other = (tmp_path / name for name in ("link", "file", "other"))
    file.write_bytes(b"old")
    other.write_bytes(b"new")
    link.symlink_to(file)
    data = map_file(link)
    (tmp_path / "new").symlink_to(other)
    (tmp_path / "new").rename(link)
    assert (link.read_bytes(), bytes(data)) == (b"new", b"old")
    check_unchanged([link])


def test_what_is_no_longer_mapped_is_no_longer_watched(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(100):
        map_file(path)
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


_SURVIVE = """
import hashlib, os, sys, threading
from warmboot.files.mapped import map_file
from warmboot.files.steady import changed_files, survive_cut_files
survive_cut_files()
data = map_file(sys.argv[1])
os.truncate(sys.argv[1], 4096 * 3 + 5)
digests = []
def work(at):
    digests.append(hashlib.sha256(data[at : at + (4 << 20)]).digest())
threads = [threading.Thread(target=work, args=(at,)) for at in range(0, len(data), 4 << 20)]
for each in threads: each.start()
for each in threads: each.join()
assert len(digests) == len(threads)
assert data[len(data) - 1] == 0 and data[0] == 1 and data[4096 * 3 + 4] == 1
assert changed_files() == [sys.argv[1]]
print("alive")
"""

_STRANGE = """
import mmap, os, sys
from warmboot.files.steady import survive_cut_files
survive_cut_files()
with open(sys.argv[1], "r+b") as file:
    data = mmap.mmap(file.fileno(), 0)
    file.truncate(0)
data[0]
"""


def run(code: str, path: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-Ic", code, path], capture_output=True, check=False)


def test_a_cut_file_kills_nobody(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\1" * (64 * _MIB))
    done = run(_SURVIVE, path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"alive\n", b"")


def test_other_bus_errors_do_what_they_did(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(5000))
    assert run(_STRANGE, path).returncode == -signal.SIGBUS

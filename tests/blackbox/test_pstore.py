"""The log that pstore keeps of a kernel that is gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from warmboot.blackbox.pstore import words_in_pstore

RELEASE = "6.12.48+deb13-amd64"
FIRST = f"[    0.000000] Linux version {RELEASE} (debian-kernel@lists.debian.org) #1 SMP\n"
OLDER = FIRST.replace(RELEASE, "6.1.0-28-amd64") + "[    9.1] kexec_core: Starting\n"
PANIC = (
    "Panic#1 Part1\n<0>[    2.000000] Kernel panic - not syncing: VFS: Unable to mount root fs\n"
    f"<4>[    2.000001][    T1] CPU: 0 PID: 1 Comm: swapper/0 Not tainted {RELEASE} #1  Debian 6.12.48-1\n"
)


def test_a_console_begins_with_the_last_boot(tmp_path: Path) -> None:
    folder = tmp_path / "sys/fs/pstore"
    folder.mkdir(parents=True)
    (folder / "console-ramoops-0").write_text(f"{OLDER}{FIRST}[    0.1] Command line: quiet\r\n[    1.5] last\n")
    said = words_in_pstore(RELEASE, 0, root=str(tmp_path))
    assert said is not None
    assert said.where == str(folder / "console-ramoops-0")
    assert said.lines == (FIRST[15:].rstrip(), "Command line: quiet", "last")
    assert not words_in_pstore("6.1.0-28-amd64", 0, root=str(tmp_path)), "of an older boot"
    assert not words_in_pstore(RELEASE[:-1], 0, root=str(tmp_path))


def test_a_record_that_systemd_has_moved(tmp_path: Path) -> None:
    folder = tmp_path / "var/lib/systemd/pstore/1732730000/000"
    folder.mkdir(parents=True)
    record = folder.parent / "dmesg-efi_pstore-1"
    record.write_text(PANIC)
    said = words_in_pstore(RELEASE, 0, root=str(tmp_path))
    assert said is not None
    assert said.lines[1:] == (
        "Kernel panic - not syncing: VFS: Unable to mount root fs",
        f"CPU: 0 PID: 1 Comm: swapper/0 Not tainted {RELEASE} #1  Debian 6.12.48-1",
    )
    os.utime(record, (1000.0, 1000.0))
    assert not words_in_pstore(RELEASE, 2000, root=str(tmp_path))


@given(st.binary(max_size=300))
@example(b"Linux version ")  # no banner: the log begins before it
def test_any_content_is_read(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    root = tmp_path_factory.getbasetemp()
    path = root / "sys/fs/pstore/console-ramoops-0"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(FIRST.encode() + content)
    said = words_in_pstore(RELEASE, 0, root=str(root))
    assert said is not None
    assert all(said.lines)

"""Archives from anybody: those that tar makes in every format, damaged ones, and bombs, in bounded memory."""

from __future__ import annotations

import io
import lzma
import os
import subprocess
import sys
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmboot.errors import InputError
from warmboot.live.from_files import facts_from
from warmboot.live.tar import is_tar, tar_files

MIB = 1 << 20
LONG = "/".join(["a-folder-of-a-long-name"] * 20)
FILES = {
    "sos/proc/iomem": b"00100000-3fffffff : System RAM\n" * 50,
    f"sos/{LONG}/x": b"long",
    "sos/sos_commands/d\u00e9j\u00e0": b"\xff" * 513,
    "sos/empty": b"",
}


def header(kind: bytes, size: int, name: str = "sos/x") -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


def archive(path: Path, form: int, packed: str = "") -> Path:
    with tarfile.open(path, f"w:{packed}", format=form) as made:  # type: ignore[call-overload]
        for kind, name in ((tarfile.DIRTYPE, "sos"), (tarfile.SYMTYPE, "sos/link"), (tarfile.FIFOTYPE, "sos/pipe")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/shadow"
            made.addfile(member)
        for name, content in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("packed", ["", "gz", "bz2", "xz"])
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_is_in_it(form: int, packed: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "a", form, packed)
    assert is_tar(path)
    assert dict(tar_files(path, lambda _: True, MIB)) == FILES
    assert dict(tar_files(path, lambda name: "iomem" in name, 5)) == {"sos/proc/iomem": FILES["sos/proc/iomem"][:5]}


@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "pax"])
def test_tars_own(form: str, tmp_path: Path) -> None:
    """As the program writes it, with a file that has holes."""
    folder = tmp_path / "sos"
    folder.mkdir()
    (folder / "file").write_bytes(b"text" * 1000)
    with (folder / "holes").open("wb") as file:
        for at in range(0, 64 * MIB, 2 * MIB):  # more holes than a header has room for
            file.seek(at)
            file.write(b"x")
    (folder / "last").write_bytes(b"last")
    (folder / "link").symlink_to("/etc/shadow")
    sparse = ["--sparse"] if form not in ("v7", "ustar") else []
    names = ["sos/file", "sos/holes", "sos/link", "sos/last"]
    command = ["tar", "-C", str(tmp_path), f"--format={form}", *sparse, "-cf", str(tmp_path / "a"), *names]
    subprocess.run(command, check=True, timeout=120)
    found = dict(tar_files(tmp_path / "a", lambda name: name != "sos/holes", MIB))
    assert found == {"sos/file": b"text" * 1000, "sos/last": b"last"}


def bombs(path: Path, name: str) -> None:
    with lzma.open(path, "wb", preset=0) as file:
        match name:
            case "files":  # each of them is one that an sosreport may have
                for number in range(40):
                    file.write(header(b"0", 8 * MIB, f"sos/sys/firmware/memmap/{number}/start"))
                    for _ in range(8):
                        file.write(bytes(MIB))
            case "header":  # one that says so much of the next
                file.write(header(b"x", 400 * MIB))
                for _ in range(400):
                    file.write(bytes(MIB))
            case "chain":
                file.write((header(b"L", 4) + b"abc\0".ljust(512, b"\0")) * 3000)
            case "size":
                file.write(header(b"0", 1 << 60))
        file.write(header(b"0", 0) + bytes(1024))


CODE = """
import re, sys
from pathlib import Path
from warmboot.cli.main import main
status = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1], status)
"""


def peak(*words: str) -> tuple[int, int, str]:
    """The most memory that a command took, in bytes, its status, and what it said."""
    command = [sys.executable, "-c", CODE, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    memory, status = done.stdout.split()[-2:]
    return int(memory) << 10, int(status), done.stderr


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("files", "more than any sosreport tells"),
        ("header", "damaged: a header of"),
        ("chain", "nothing of an sosreport"),
        ("size", "larger than any sosreport"),
    ],
)
def test_bombs(name: str, what: str, tmp_path: Path) -> None:
    bombs(tmp_path / "sos.tar.xz", name)
    memory, status, said = peak("facts", "--from", str(tmp_path / "sos.tar.xz"))
    assert status == 2
    assert what in said
    assert len(said.splitlines()) == 2
    assert memory < 128 * MIB


def test_more_members_than_any_report_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmboot.live.tar._MOST_HEADERS", 100)
    (tmp_path / "a").write_bytes(header(b"0", 0) * 200)
    with pytest.raises(InputError, match="more than 100 members"):
        list(tar_files(tmp_path / "a", lambda _: True, 1))


def test_a_dictionary_that_is_too_large(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 512 * MIB}]
    path = tmp_path / "a.tar.xz"
    path.write_bytes(lzma.compress(header(b"0", 0) + bytes(1024), filters=filters))
    assert not is_tar(path)
    with pytest.raises(InputError, match=r"damaged: .*[Mm]emory"):
        list(tar_files(path, lambda _: True, 1))


def test_a_paste_of_many_lines(tmp_path: Path) -> None:
    (tmp_path / "paste").write_bytes(b"ab\n" * (10 * MIB))
    memory, status, said = peak("facts", "--from", str(tmp_path / "paste"))
    assert (status, "no memory map" in said) == (2, True)
    (tmp_path / "paste").write_bytes(b"1-1 : System RAM\n" * MIB)
    more, status, said = peak("facts", "--from", str(tmp_path / "paste"))
    assert (status, "more than 100,000 lines" in said) == (2, True)
    assert max(memory, more) < 200 * MIB


@pytest.mark.parametrize("packed", ["", "gz", "bz2", "xz"])
def test_cut_off_anywhere(packed: str, tmp_path: Path) -> None:
    data = archive(tmp_path / "whole", tarfile.PAX_FORMAT, packed).read_bytes()
    path = tmp_path / "part"
    for end in {*range(1, len(data), max(1, len(data) // 60)), 5, 6, 511, 512, 513}:
        path.write_bytes(data[:end])
        found = []
        with suppress(InputError):
            found = list(tar_files(path, lambda _: True, MIB))
        assert found == list(FILES.items())[: len(found)]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 3000), st.sampled_from([b"x", b"L", b"S", b"0", b"g", b"\xff"]))
def test_whatever_is_in_it(tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int, kind: bytes) -> None:
    data = bytearray(header(kind, 600) + b"30 path=abc\n".ljust(1024, b"1") + header(b"0", 3) + bytes(2048))
    data[at : at + len(noise)] = noise
    path = tmp_path_factory.getbasetemp() / "noise"
    path.write_bytes(data)
    with suppress(InputError):
        for name, content in tar_files(path, lambda _: True, 100):
            assert len(content) <= 100, name


def test_a_folder_with_links_and_pipes(tmp_path: Path) -> None:
    """They are passed over: a link leads anywhere, and nobody may write to a pipe."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "secret").write_text("00100000-3fffffff : System RAM\n")
    (tmp_path / "proc/iomem").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "proc/cmdline")
    with pytest.raises(InputError, match="nothing of an sosreport"):
        facts_from([str(tmp_path)])

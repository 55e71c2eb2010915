"""The makedumpfile drop-in and Debian's makedumpfile 1.7.8 with the same words, on real dumps."""

from __future__ import annotations

import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.kdump_files import KdumpFile
from support.makedumpfile import makedumpfile
from support.vmcores import vmcore
from warmboot.dropin.makedumpfile.command import Command, InvalidError, parse
from warmboot.dropin.makedumpfile.options import LONGS, REFUSED, SHORT

pytestmark = pytest.mark.one_process

OURS = (str(Path(sysconfig.get_path("scripts")) / "makedumpfile"),)


def both(words: str, folder: Path, data: bytes = b"") -> list[subprocess.CompletedProcess[bytes]]:
    """What each program answers, in a folder of its own; VMCORE is a real dump, `there` a file that exists."""
    done = []
    for name, command in (("ours", OURS), ("theirs", makedumpfile())):
        place = folder / name
        place.mkdir(exist_ok=True)
        (place / "there").write_bytes(b"precious")
        line = [each.replace("VMCORE", str(vmcore("6.12"))) for each in shlex.split(words)]
        done.append(
            subprocess.run([*command, *line], input=data, cwd=place, capture_output=True, check=False, timeout=60)
        )
    return done


@pytest.mark.needs_qemu
@pytest.mark.needs_apt
@pytest.mark.parametrize(
    "words",
    [
        "",
        "-d 32 VMCORE out",
        "-d -1 VMCORE out",
        "VMCORE",
        "VMCORE out more",
        "--foo",
        "--m",
        "-d",
        "-E -c VMCORE out",
        "--split VMCORE out",
        "-R",
        "--message-level 99 VMCORE out",
        "--message-level 0 --foo",
        "--check-params -l -d 31 VMCORE there",
        "--check-params -d 99 VMCORE there",
        "-l -d 31 VMCORE there",
        "--dump-dmesg VMCORE there",
        "-R there",
        "--message-level 6 -z -l -d 31,17 VMCORE out",
        "--message-level 6 -f -d 31 VMCORE there",
        "--message-level 6 -E -d 31 VMCORE out",
        "--message-level 6 --split -d 31 VMCORE one two three",
        "--message-level 6 --dry-run -d 31 VMCORE out",
        "--message-level 6 -l -d 31 --num-threads 0 --cyclic-buffer 64 --non-mmap VMCORE out",
    ],
)
def test_the_same_words(words: str, tmp_path: Path) -> None:
    ours, theirs = both(words, tmp_path)
    assert (ours.returncode, ours.stdout.decode()) == (theirs.returncode, theirs.stdout.decode())
    if b"\r" not in theirs.stderr:
        assert ours.stderr.decode() == theirs.stderr.decode()
    names = [{each.name for each in (tmp_path / side).iterdir()} for side in ("ours", "theirs")]
    assert names[0] == names[1]
    if "-f" not in words.split():
        assert (tmp_path / "ours/there").read_bytes() == b"precious"


@pytest.mark.needs_qemu
@pytest.mark.needs_apt
@pytest.mark.parametrize("series", ["5.10", "6.1", "6.12", "7.2"])
def test_the_log_is_the_same(series: str, tmp_path: Path) -> None:
    path = str(vmcore(series))
    both(f"--message-level 4 --dump-dmesg {path} log", tmp_path)
    assert (tmp_path / "ours/log").read_bytes() == (tmp_path / "theirs/log").read_bytes()


@pytest.mark.needs_qemu
@pytest.mark.needs_apt
@pytest.mark.parametrize("words", ["-l -d 31", "-c -d 17"])
def test_the_same_pages_are_in_the_file(words: str, tmp_path: Path) -> None:
    both(f"--message-level 4 {words} VMCORE out", tmp_path)
    ours, theirs = (KdumpFile.of(tmp_path / side / "out") for side in ("ours", "theirs"))
    assert ours.status == theirs.status
    assert (ours.valid == theirs.valid).all()
    assert (ours.dumped == theirs.dumped).all()
    for index in range(0, len(ours.rows), 101):
        assert ours.page(index) == theirs.page(index)


@pytest.mark.needs_qemu
@pytest.mark.needs_apt
def test_each_rearranges_what_the_other_flattens(tmp_path: Path) -> None:
    flat = [each.stdout for each in both("-F -l -d 31 VMCORE", tmp_path)]
    crossed = [both("--message-level 4 -f -R out", tmp_path, data) for data in flat]
    assert all(done.returncode == 0 for pair in crossed for done in pair)
    assert (tmp_path / "ours/out").read_bytes() == (tmp_path / "theirs/out").read_bytes()


@pytest.mark.needs_qemu
def test_the_next_level_where_the_disk_is_full(tmp_path: Path) -> None:
    """A limit of the file's size is met as a full disk is."""
    limited = ["prlimit", f"--fsize={50 << 20}", *OURS, "-l", "--message-level", "6"]
    source = str(vmcore("6.12"))
    done = subprocess.run([*limited, "-d", "1,31", source, "out"], capture_output=True, check=False, cwd=tmp_path)
    assert (done.returncode, [each.name for each in tmp_path.iterdir()]) == (0, ["out"])
    assert b"pages are missing" in done.stderr
    assert KdumpFile.of(tmp_path / "out").status == 2
    done = subprocess.run([*limited, "-f", "-d", "0", source, "out"], capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert b"incomplete" in done.stdout
    assert KdumpFile.of(tmp_path / "out").status == 2 | 8


@pytest.mark.needs_qemu
def test_numbers_of_pages(tmp_path: Path) -> None:
    """The report's lines are makedumpfile's. Its numbers count the kernel's text, which two segments name, once."""
    command = [*OURS, "--message-level", "16", "--dry-run", "-d", "31", str(vmcore("6.12")), "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    numbers = {
        name.strip(): int(value, 0)
        for name, colon, value in (line.partition(":") for line in done.stdout.splitlines())
        if colon
    }
    assert numbers["Original pages"] - numbers["Excluded pages"] == numbers["Remaining pages"]
    assert numbers["Original pages"] + numbers["Memory Hole"] == numbers["Total pages"]
    assert numbers["Free pages"] > numbers["Non-private cache pages"] > numbers["User process data pages"] > 0


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named(name: str) -> None:
    option = f"-{name}" if len(name) == 1 else f"--{name}"
    with pytest.raises(InvalidError, match=f"^{option} is not supported: "):
        parse(["makedumpfile", option, "1", "a", "b"], lambda _: None, Command())


@given(st.lists(st.sampled_from([*(f"-{each}" for each in SHORT if each != ":"), *(f"--{each[0]}" for each in LONGS)])))
def test_any_options_are_understood_or_refused(words: list[str]) -> None:
    command = Command()
    try:
        parse(["makedumpfile", *words, "a", "b"], lambda _: None, command)
        command.check_operands()
    except InvalidError:
        return
    assert command.operands

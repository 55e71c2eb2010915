"""Man pages: there for every command, current, rendered by `man` without a warning, and true to the parsers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from warmboot.dropin import arch, options
from warmboot.dropin.makedumpfile import options as filter_options
from warmboot.manual.dropins import dropins
from warmboot.manual.entries import walk
from warmboot.manual.share import programs, shared_files

ROOT = Path(__file__).parents[2]
SHARE = ROOT / "share"
PAGES = sorted(SHARE.glob("man/man?/*"))


def rendered(page: Path, columns: int) -> str:
    """What `man` shows; a warning fails."""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "MANWIDTH": str(columns), "MANROFFOPT": "-ww"}
    command = ["man", "--warnings", "--local-file", str(page)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return re.sub(".\b", "", done.stdout)


def test_they_are_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools/manual", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_every_command_has_one() -> None:
    assert {path.name for path in PAGES} == {f"{each.page}.{each.part}" for each in walk(programs())}
    assert not {"kexec.8", "makedumpfile.8", "vmcore-dmesg.8"} & {path.name for path in PAGES}  # the peers' names


@pytest.mark.needs_shells
@pytest.mark.parametrize("columns", [60, 80])
def test_man_shows_them(columns: int) -> None:
    commands = {each.page: each for each in walk(programs())}
    for path in PAGES:
        text, command = rendered(path, columns), commands[path.stem]
        assert max(map(len, text.splitlines())) <= columns, path
        flat = " ".join(text.split())
        for entry in command.options:
            assert " ".join([", ".join(entry.names), *entry.value.split()]).strip() in flat, (path, entry)
        for title in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "EXIT STATUS", "SEE ALSO"):
            assert re.search(f"^{title}$", text, re.MULTILINE), (path, title)


@pytest.mark.needs_shells
def test_man_finds_them_beside_the_program(tmp_path: Path) -> None:
    """As `man` looks in share/man beside the folders of PATH, so it does in an environment of Python."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "share").symlink_to(SHARE)
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["man", "-w", "warmboot-dump-save"], env=environment, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).samefile(SHARE / "man/man1/warmboot-dump-save.1")


def test_a_file_that_nobody_makes_is_stale(tmp_path: Path) -> None:
    """`--check` names what is missing, changed or left over."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/manual").write_text((ROOT / "tools/manual").read_text())
    tool = [sys.executable, str(tmp_path / "tools/manual")]
    subprocess.run(tool, capture_output=True, check=True)
    made = {path.relative_to(tmp_path / "share") for path in (tmp_path / "share").rglob("*") if path.is_file()}
    assert made == {Path(each) for each in shared_files()}
    (tmp_path / "share/man/man1/warmboot-old.1").touch()
    (tmp_path / "share/man/man1/warmboot.1").write_text("changed")
    (tmp_path / "share/man/man1/warmboot-load.1").unlink()
    done = subprocess.run([*tool, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert [Path(each).name for each in done.stdout.split()] == ["warmboot-load.1", "warmboot-old.1", "warmboot.1"]


def test_the_drop_ins_help_has_the_options_of_their_tables() -> None:
    """Each that is described is read, with a value or without, and each that is read is described or told apart."""
    kexec, makedumpfile, _ = dropins()
    longs = [*options.GENERAL, *options.LOADER, *options.EXTRA, *arch.options().ARCHITECTURE]
    hidden = {"--elf32-core-headers", "--elf64-core-headers"}
    filter_hidden = {f"--{each}" for each in (*filter_options.IGNORED, *filter_options.REFUSED) if len(each) > 1}
    for command, table, short, apart in (
        (kexec, longs, options.SHORT, hidden | {"-?"}),
        (
            makedumpfile,
            filter_options.LONGS,
            filter_options.SHORT,
            filter_hidden | {f"-{each}" for each in (*filter_options.IGNORED, *filter_options.REFUSED)},
        ),
    ):
        described = {name: bool(each.value) for each in command.options for name in each.names}
        read = {f"--{name}": takes for name, takes, _ in table}
        read |= {f"-{letter}": short.startswith(":", at + 1) for at, letter in enumerate(short) if letter != ":"}
        assert described.keys() <= read.keys()
        assert read.keys() - described.keys() <= apart
        assert described == {name: read[name] for name in described}

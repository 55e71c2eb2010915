"""What every command has in common: old spellings, foreign text, statuses, closed and full streams, 60 columns."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from warmboot.cli.main import main
from warmboot.cli.options import modernized
from warmboot.errors import MissingToolError, OutOfTimeError
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel

PATIENCE = 120.0  # seconds
PROGRAM = [sys.executable, "-m", "warmboot"]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinuz"
    path.write_bytes(demo_kernel())
    return path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("record --kernel K operations", "record K operations"),
        ("--debug record operations --memory 1G --kernel=K", "--debug record K operations --memory 1G"),
        ("fuzz --calls 5 --kernel K", "fuzz K --calls 5"),
        ("witness --kernel K --json", "witness K --json"),
    ],
)
def test_old_spellings_go_on_working_with_a_notice(old: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert modernized(old.split()) == new.split()
    notice = capsys.readouterr().err
    assert len(notice.splitlines()) == 1
    assert "--kernel is not needed any more" in notice
    assert modernized(new.split()) == new.split()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("words", ["rehearse --kernel K", "record --kernel", "record K -- --kernel x"])
def test_what_is_no_old_spelling_stays(words: str) -> None:
    assert modernized(words.split()) == words.split()


HOSTILE = "evil\x1b[2J\x9b31m\u202e\nwarmboot: all is well"


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", HOSTILE],
        ["rehearse", HOSTILE],
        ["rehearse", "KERNEL", "--memory", HOSTILE],
        ["rehearse", "KERNEL", "--crashkernel", HOSTILE],
        ["rehearse", "KERNEL", "--cpus", HOSTILE],
        ["rehearse", "KERNEL", "--like", HOSTILE],
        ["replay", HOSTILE],
        ["replay", "x", "--profile", HOSTILE],
        ["rehearse", "KERNEL", f"--{HOSTILE}"],
        [HOSTILE],
    ],
)
@pytest.mark.parametrize("json_wanted", [False, True])
def test_foreign_text_in_an_error_steers_no_terminal(
    words: list[str], json_wanted: bool, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(image) if each == "KERNEL" else each for each in words]
    assert main(given + ["--json"] * json_wanted) == 2
    out, err = capsys.readouterr()
    shown = out + err
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown), shown
    assert len(err.splitlines()) == (0 if json_wanted else 2)


def test_foreign_names_are_shown_visibly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a\x1b[2J\n"
    path.write_bytes(demo_kernel())
    for words in (["inspect", str(path)], ["rehearse", str(path), "--no-boot"]):
        assert main(words) == 0
        out = capsys.readouterr().out
        assert "a\\x1b[2J\\x0a" in out
        assert "\x1b" not in out


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MissingToolError("QEMU: not installed", hint="install it"), 3),
        (OutOfTimeError("no end in time", hint="allow more"), 4),
        (OSError(errno.ENOSPC, "No space left on device"), 3),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 3),
        (MemoryError(), 3),
        (OSError(errno.EIO, "Input/output error"), 1),
    ],
)
def test_statuses(
    error: Exception, status: int, image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr("warmboot.cli.inspect.identify", fails)
    assert main(["inspect", str(image)]) == status
    assert "try: " in capsys.readouterr().err


def shell(command: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A run by the shell, which closes and leads away streams."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {command}', "sh", *PROGRAM, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


COMMANDS: dict[str, Sequence[str]] = {
    "rehearse": ["rehearse", "KERNEL", "--no-boot"],
    "rehearse --json": ["rehearse", "KERNEL", "--no-boot", "--json"],
    "inspect": ["inspect", "KERNEL"],
    "facts": ["facts"],
    "status": ["status"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_closed_streams(name: str, image: Path) -> None:
    """The output is not wanted: the work is done, and the exit status is the answer."""
    words = [str(image) if each == "KERNEL" else each for each in COMMANDS[name]]
    for closing in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        done = shell(closing, *words)
        assert (done.returncode, done.stderr) == (0, ""), closing


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_and_a_reader_that_is_gone(name: str, image: Path) -> None:
    words = [str(image) if each == "KERNEL" else each for each in COMMANDS[name]]
    done = shell(">/dev/full", *words)
    assert done.returncode == 1
    assert done.stderr.startswith("warmboot: the output cannot be written: No space left on device\n  try: ")
    assert len(done.stderr.splitlines()) == 2
    read, write = os.pipe()
    os.close(read)
    gone = subprocess.run([*PROGRAM, *words], stdout=write, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    os.close(write)
    assert (gone.returncode, gone.stderr) == (1, b"")


def test_errors_with_closed_and_full_streams() -> None:
    for leading in (">&-", "2>&-", "2>/dev/full", ">&- 2>&-"):
        done = shell(leading, "inspect", "/nonexistent")
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def terminal(*words: str | Path, columns: int, **variables: str) -> str:
    """What a terminal of that width is sent."""
    main_end, other_end = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", **variables}
    environment = {name: value for name, value in environment.items() if name != "NO_COLOR" or "NO_COLOR" in variables}
    with subprocess.Popen(
        [*PROGRAM, *map(str, words)], stdin=other_end, stdout=other_end, stderr=other_end, env=environment
    ) as running:
        os.close(other_end)
        sent = b""
        while True:
            try:
                piece = os.read(main_end, 65536)
            except OSError:  # the other end is closed
                break
            sent += piece
        os.close(main_end)
        assert running.wait(PATIENCE) == 0
    return sent.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("words", [["rehearse", "KERNEL", "--no-boot"], ["demo"], ["inspect", "KERNEL"], ["status"]])
def test_60_columns_are_enough(words: list[str], image: Path) -> None:
    given = [str(image) if each == "KERNEL" else each for each in words]
    plain = terminal(*given, columns=60, NO_COLOR="1")
    assert "\x1b" not in plain
    assert [line for line in plain.splitlines() if len(line) > 60] == []
    assert "\x1b" not in terminal(*given, columns=60, TERM="dumb")


def test_a_terminal_gets_colours(image: Path) -> None:
    assert "\x1b[32mpassed\x1b[0m" in terminal("rehearse", image, "--no-boot", columns=100)


@pytest.mark.parametrize(("way", "call"), [("guest", "kexec_load"), ("model", "kexec_file_load")])
def test_a_crash_is_not_rehearsed_by_another_call(
    way: str, call: str, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rehearse", str(image), "--crash", "--on", way, "--call", call]) == 2
    assert f"--call {call} does not go with --crash --on {way}, which loads by" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--html", "--junit"])
def test_a_report_never_replaces_what_is_no_file(option: str, image: Path, tmp_path: Path) -> None:
    """As root a rename replaces /dev/null too."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 1 << 20)  # the whole page
    try:
        for path in (pipe, link):
            main(["rehearse", str(image), "--no-boot", option, str(path), "--timeout", "5"])
            assert pipe.is_fifo()
            assert path.is_symlink() == (path == link)
            assert os.read(reader, 1 << 20)
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    "words",
    [
        "--crash --command-line=",
        "--crash --crashkernel 256M --crashkernel 64M,low",
        "--crash --until login:",
        "--crash --save vmcore --capture-initrd KERNEL",
        "--crash --on model --initrd KERNEL",
        "--crash --on model --append quiet",
        "--crash --on model --crash-by sysrq",
        "--crash --on model --efi --like KERNEL",
        "--crash-by nmi",
        "--save vmcore",
        "--on guest",
        "--efi",
        "--capture KERNEL",
        "--capture-initrd KERNEL",
        "--capture-append quiet",
    ],
)
def test_no_option_of_a_rehearsal_is_ignored(
    words: str, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [str(image) if each == "KERNEL" else each for each in words.split()]
    assert main(["rehearse", str(image), *given]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert list(tmp_path.iterdir()) == [image]


@pytest.mark.parametrize("words", [["--timeout", "30"], ["--ssh-config", "x"], ["--timeout", "5", "--from", "x"]])
def test_options_about_hosts_go_with_hosts(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["facts", *words]) == 2
    assert "are about hosts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["rehears", "x"], "try: rehearse, if that is meant; warmboot --help"),
        (["dump", "dmsg", "x"], "try: dmesg, if that is meant; warmboot dump --help"),
        (["zzzzzz"], "try: warmboot --help"),
        (["rehearse"], "try: warmboot rehearse --help"),
    ],
)
def test_a_mistyped_name(words: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.splitlines()[-1].strip() == hint

"""What a person sees: words for numbers, tables, a progress line, colour only on a terminal, a console's plain text."""

from __future__ import annotations

import io
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.errors import ExitStatus
from warmboot.figures import BootFigures, BzImageFigures, PhaseFigures
from warmboot.rehearsal.kernel_words import plain
from warmboot.report.text.figures import figures_lines
from warmboot.report.text.stages import TextReport
from warmboot.report.text.terminal import Progress, Terminal
from warmboot.report.text.words import size_text, table
from warmboot.stages import Outcome, Refusal, Result, Stage


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("size", "text"),
    [
        *((0, "0 bytes"), (1023, "1023 bytes"), (1024, "1 KiB"), (1536, "1.5 KiB"), (512 << 20, "512 MiB")),
        *((11 << 20 | 100 << 10, "11.1 MiB"), (3 << 30, "3 GiB"), (5 << 40, "5 TiB"), (5000 << 40, "5000 TiB")),
    ],
)
def test_sizes_in_words(size: int, text: str) -> None:
    assert size_text(size) == text


@given(st.integers(1, 1 << 50))
def test_sizes_are_close(size: int) -> None:
    number, unit = size_text(size).split(" ")
    factor = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}[unit]
    assert abs(float(number) * factor - size) <= 0.05 * factor + 1e-6
    assert 0 < float(number) <= 1024


def test_a_table() -> None:
    assert table([("a", "size"), ("long", "1")], right=(1,)) == ["a     size", "long     1"]
    assert table([("long", ""), ("a", "")]) == ["long", "a"]


def test_progress_on_a_terminal_comes_late_and_goes_away() -> None:
    screen = Screen()
    progress = Progress(screen, patience=0.02)
    progress.begin()
    progress.show("load", 1, 4)
    assert screen.getvalue() == ""
    time.sleep(0.03)
    progress.show("load", 1 << 20, 4 << 20)
    assert screen.getvalue().startswith("\rload      [#######.......................] 1 MiB of 4 MiB, ")
    length = len(screen.getvalue())
    progress.show("load", 2 << 20, 4 << 20)  # too soon after the first
    assert len(screen.getvalue()) == length
    progress.clear()
    progress.clear()
    assert screen.getvalue().endswith(" s left \x1b[K\r\x1b[K")


def test_no_progress_where_nobody_watches() -> None:
    stream = io.StringIO()
    progress = Progress(stream, patience=0.0)
    progress.begin()
    progress.show("load", 1, 4)
    progress.clear()
    assert stream.getvalue() == ""


def shown(stream: io.StringIO, *parts: str) -> str:
    """What a terminal prints of these parts, the first of them in green."""
    terminal = Terminal(stream)
    terminal.line(terminal.good(parts[0]), *parts[1:], indent=2)
    return stream.getvalue()


def test_colour_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert shown(io.StringIO(), "yes", " and no") == "yes and no\n"
    assert shown(Screen(), "yes", " and no") == "\x1b[32myes\x1b[0m and no\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_where_it_is_not_wanted(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert shown(Screen(), "yes", " and no") == "yes and no\n"


def test_no_progress_on_a_dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    screen = Screen()
    progress = Progress(screen, patience=0.0)
    progress.begin()
    progress.show("load", 1, 4)
    progress.clear()
    assert screen.getvalue() == ""


def test_nothing_printed_steers_a_terminal() -> None:
    assert shown(io.StringIO(), "a\x1b[2Jb", "\x9b\r\nc\t") == "a\\x1b[2Jb\\x9b\\x0d\\x0ac\t\n"


@given(st.lists(st.text(st.sampled_from("ab \x1b"), max_size=50), min_size=1, max_size=4))
def test_lines_are_folded_and_nothing_is_lost(parts: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "60")
        patch.setenv("NO_COLOR", "1")
        folded = shown(Screen(), *parts)
    assert all(len(line) <= 60 for line in folded.splitlines())
    whole = "".join(parts).replace("\x1b", "\\x1b")
    assert folded.replace("\n", "").replace(" ", "") == whole.replace(" ", "")


def test_a_folded_lines_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    green = " ".join(["green"] * 10)
    assert shown(Screen(), green, " plain") == (
        f"\x1b[32m{' '.join(['green'] * 6)}\x1b[0m\n  \x1b[32m{' '.join(['green'] * 4)}\x1b[0m plain\n"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[    0.000000] Linux version 6.1\t#1", "[    0.000000] Linux version 6.1\t#1"),
        ("[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mudev\x1b[0m.", "[  OK  ] Started udev."),
        ("\x1b[2J\x1b[1;1H\x1bcboot", "boot"),
        ("\x1b]0;title\x07text", "text"),
        ("\x00\x07bell\r\n\x9b", "\\x00\\x07bell\\x0a\\x9b"),
        ("caf\u00e9 \ufffd", "caf\u00e9 \ufffd"),
    ],
)
def test_a_consoles_text_cannot_steer_a_terminal(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text(st.sampled_from("\x1b[]0;1mAB\x07\\ \x9b"), max_size=20))
def test_no_text_can(text: str) -> None:
    assert not any(ord(each) < 32 or 0x7F <= ord(each) < 0xA0 for each in plain(text))


# --- a rehearsal ---------------------------------------------------------------------------------------------------

INSPECTED = BzImageFigures(
    file="vmlinuz",
    kind="bzImage64",
    packed=(),
    format="bzImage",
    version="6.1.0 (a) #1",
    protocol="2.15",
    compression="xz",
    bytes=8 << 20,
    init_size=32 << 20,
    pref_address=0x1000000,
    kernel_alignment=2 << 20,
    relocatable=True,
    above_4g=True,
    cmdline_size=2047,
)


def test_a_kernel_in_four_lines() -> None:
    assert figures_lines(INSPECTED) == [
        "vmlinuz",
        "bzImage 6.1.0, boot protocol 2.15, xz inside",
        "8 MiB to load, needs 32 MiB, prefers 0x1000000, can run anywhere, also above 4 GiB",
        "aligned to 2 MiB, command line up to 2047 bytes",
    ]
    low = figures_lines(replace(INSPECTED, above_4g=False))
    assert low[2].endswith("can run below 4 GiB")
    fixed = figures_lines(replace(INSPECTED, relocatable=False))
    assert fixed[2].endswith("can run only there")


BOOTED = BootFigures(
    machine="QEMU by tcg, 1 processors, 1024 MiB",
    release="6.1.0",
    processors=None,
    acpi=True,
    seconds=4.5,
    reached="user space",
    init="/init",
    first_words="hello",
    last_lines=(),
)


def test_the_phases_of_a_boot() -> None:
    phases = (PhaseFigures("dark", 1.25), PhaseFigures("kernel", 3.0), PhaseFigures("init", 0.25))
    lines = figures_lines(replace(BOOTED, phases=phases))
    assert "1.25 s of that before the kernel's first line; then kernel 3.00 s, init 0.25 s" in lines
    assert not any("first line;" in each for each in figures_lines(replace(BOOTED, phases=phases[:1])))


def test_a_boot_as_it_happens(capsys: pytest.CaptureFixture[str]) -> None:
    report = TextReport()
    report.begins("boot")
    report.console("[    0.000000] Linux version 6.1.0")
    report.ends(Stage("boot", figures=BOOTED))
    report.verdict(Result(verdict="it loads, and it boots"))
    assert capsys.readouterr().out.splitlines() == [
        "boot      the new kernel's console:",
        "  | [    0.000000] Linux version 6.1.0",
        "          QEMU by tcg, 1 processors, 1024 MiB",
        "          Linux 6.1.0, 1 processor brought up, ACPI seen",
        "          4.50 s from the hand-over to user space, /init started",
        "          its first line: hello",
        "verdict   it loads, and it boots",
    ]


@pytest.mark.parametrize("show_console", [True, False])
def test_a_boot_that_is_not_tried_has_no_console(show_console: bool, capsys: pytest.CaptureFixture[str]) -> None:
    report = TextReport(show_console=show_console)
    report.begins("boot")
    report.ends(Stage("boot", Outcome.NOT_TRIED, problem="no QEMU", hint="install it"))
    report.verdict(Result(verdict="it loads", hint="install it", exit_status=ExitStatus.REFUSED))
    assert capsys.readouterr().out.splitlines() == [
        "boot      not tried: no QEMU",
        "verdict   it loads",
        "          try: install it",
    ]


def test_a_refusal_names_errno_and_rule(capsys: pytest.CaptureFixture[str]) -> None:
    report = TextReport()
    report.begins("permit")
    refusal = Refusal("EINVAL", "half_of_memory", 2)
    report.ends(Stage("permit", Outcome.REFUSED, problem="too much", hint="less", refusal=refusal))
    assert capsys.readouterr().out == "permit    refused EINVAL by half_of_memory: too much\n"

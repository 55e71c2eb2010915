"""Where a black box may be: on made-up computers, by what Linux tells of its memory and its command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.computers import iomem, tree
from warmboot.blackbox.place import chosen_place, find_place, page_words, why_not
from warmboot.command_line import parse
from warmboot.errors import InputError

BOX = 0x3000_0000
MAP = [
    (0x100000, BOX - 1, "System RAM"),
    (BOX, BOX + 0xFFF, "Reserved"),
    (BOX + 0x1000, 0x3FFF_FFFF, "System RAM"),
    (0x5000_0000, 0x5000_FFFF, "Reserved"),
]
WORDS = f"memmap=4K${BOX:#x} warmboot.blackbox={BOX:#x}"


def computer(root: Path, line: str, entries: list[tuple[int, int, str]] = MAP) -> str:
    return str(tree(root, {"proc/cmdline": f"{line}\n", **iomem(entries)}))


@pytest.mark.parametrize(
    "line",
    [
        f"quiet {WORDS} -- x",
        f"memmap=1M!2G,0x1000${BOX} warmboot.blackbox=0x30000000",
        f"memmap=4K${BOX:#x} memmap=64K$1G warmboot-blackbox=1 warmboot.blackbox={BOX}",
    ],
)
def test_the_page_of_the_command_line(line: str, tmp_path: Path) -> None:
    assert find_place(computer(tmp_path, line)) == BOX


@pytest.mark.parametrize(
    "line",
    [
        "quiet",
        f"warmboot.blackbox={BOX:#x}",  # kept free by nothing
        f"memmap=4K@{BOX:#x} warmboot.blackbox={BOX:#x}",
        f"memmap=2K${BOX:#x} warmboot.blackbox={BOX:#x}",
        f"memmap=4K${BOX + 0x1000:#x} warmboot.blackbox={BOX:#x}",
        f"memmap=4K${BOX:#x} warmboot.blackbox=elsewhere",
        f"memmap=4K${BOX:#x} warmboot.blackbox",
        f"quiet -- {WORDS}",
    ],
)
def test_a_line_that_names_none(line: str, tmp_path: Path) -> None:
    assert find_place(computer(tmp_path, line)) is None


def test_a_page_that_is_not_safe(tmp_path: Path) -> None:
    """Whatever the command line says: the kernel's own account of its memory counts."""
    ram = [(0x100000, 0x3FFF_FFFF, "System RAM")]
    assert find_place(computer(tmp_path, WORDS, ram)) is None
    assert find_place(computer(tmp_path, WORDS, [(0, 0, "System RAM"), (0, 0, "Reserved")])) is None
    (tmp_path / "proc/iomem").unlink()
    assert find_place(str(tmp_path)) is None
    (tmp_path / "proc/cmdline").unlink()
    assert find_place(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("page", "no page for a black box"),
        ("here", "no address"),
        (hex(BOX + 8), "it is a page"),
        ("0x9f000", "it is a page"),
        ("0x100000000", "it is a page"),
        (hex(BOX + 0x1000), "RAM of the running kernel"),
        ("0x60000000", "no memory that /proc/iomem has as Reserved"),
    ],
)
def test_what_is_asked_for_and_refused(asked: str, told: str, tmp_path: Path) -> None:
    root = computer(tmp_path, "quiet")
    with pytest.raises(InputError, match=told) as error:
        chosen_place(asked, root)
    assert error.value.hint


def test_what_is_asked_for(tmp_path: Path) -> None:
    root = computer(tmp_path, "quiet")
    assert chosen_place(hex(BOX), root) == BOX
    assert not why_not(BOX, root)
    assert chosen_place("auto", root) is None
    assert chosen_place("page", computer(tmp_path, WORDS)) == chosen_place("auto", str(tmp_path)) == BOX


def test_the_words_for_the_next_kernel() -> None:
    earlycon = f"earlycon=uart8250,mmio,{BOX + 0x800:#x}"
    assert page_words(BOX, "quiet") == f"{WORDS} {earlycon}"
    assert page_words(BOX, f"quiet {WORDS}") == earlycon
    assert page_words(BOX, f"quiet {WORDS} earlycon") == ""
    assert page_words(BOX, "quiet earlycon=efifb") == WORDS
    assert page_words(BOX, "quiet", most=len(f"quiet {WORDS}")) == WORDS
    assert page_words(BOX, "quiet", most=20) == ""


@given(st.text(max_size=80), st.integers(0, 200))
def test_words_that_are_added_are_found_again(line: str, room: int) -> None:
    words = page_words(BOX, line)
    together = str(parse(line).with_parameters(words))
    assert page_words(BOX, together) == ""
    most = len(line.encode("utf-8", "surrogatepass")) + room
    try:
        limited = page_words(BOX, line, most)
    except UnicodeEncodeError:  # no bytes of a command line
        return
    if limited:
        assert len(str(parse(line).with_parameters(limited)).encode("utf-8", "surrogateescape")) <= most

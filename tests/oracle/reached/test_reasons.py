"""Reasons of blocks that are not come to: read strictly, counted, and shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from warmboot.errors import InputError
from warmboot.oracle.reached.blocks import Block
from warmboot.oracle.reached.debug_file import Place
from warmboot.oracle.reached.measure import Count, Measured
from warmboot.oracle.reached.page import page
from warmboot.oracle.reached.reasons import Kind, Reasons

TABLES = sorted((Path(__file__).parents[3] / "bench" / "unreached").glob("*.toml"))
TABLE = """
[[reason]]
kind = "fault"
condition = "no memory"
lines."kexec_load" = [3]

[[reason]]
kind = "unplayed"
condition = "a signal"
lines."kexec_load/loaded" = [5]
"""


def block(start: int, inner: str, offset: int) -> Block:
    """A block of kexec_load, whose line is 100 and some."""
    return Block("kexec_load", start, start + 4, Place("kernel/kexec.c", inner, 100 + offset, offset), inner, (), ())


REACHED, NO_MEMORY, SIGNAL = block(0, "kexec_load", 1), block(4, "kexec_load", 3), block(8, "loaded", 5)


def reasons(folder: Path, text: str = TABLE) -> Reasons:
    """Of a table with that text."""
    path = folder / "table.toml"
    path.write_text(text)
    return Reasons(path)


def test_blocks_are_counted(tmp_path: Path) -> None:
    measured = Measured([REACHED, NO_MEMORY, SIGNAL], {0}, reasons(tmp_path))
    assert measured.count("kernel/kexec.c") == Count(blocks=3, reached=1, excused=1)
    assert measured.count("kernel/kexec.c").rate == 0.5
    assert not measured.unknown
    assert not measured.idle
    [(reason, found)] = measured.by_reason(Kind.FAULT)
    assert (reason.condition, found) == ("no memory", [NO_MEMORY])


def test_what_no_table_says_is_unknown(tmp_path: Path) -> None:
    other = block(12, "loaded", 3)
    measured = Measured([REACHED, NO_MEMORY, SIGNAL, other], {0}, reasons(tmp_path))
    assert measured.unknown == [other]


def test_a_reason_is_idle_where_all_is_reached(tmp_path: Path) -> None:
    measured = Measured([REACHED, NO_MEMORY, SIGNAL], {0, 4}, reasons(tmp_path))
    assert measured.idle == [("kexec_load", 3)]


def test_what_is_left_to_chance_may_be_either(tmp_path: Path) -> None:
    table = reasons(tmp_path, TABLE.replace("unplayed", "chance"))
    for reached in ({0}, {0, 8}):
        measured = Measured([REACHED, NO_MEMORY, SIGNAL], reached, table)
        assert not measured.idle
        assert not measured.unknown
        assert measured.count("kernel/kexec.c").excused == 1


def test_the_page_names_each(tmp_path: Path) -> None:
    text = page("# Coverage", "6.12", Measured([REACHED, NO_MEMORY, SIGNAL], {0}, reasons(tmp_path)), "2 calls.")
    assert "| `kernel/kexec.c` | 3 | 1 | 1 | 50.0% |" in text
    assert "| a signal | `loaded` (kexec.c:105) |" in text


@pytest.mark.parametrize(
    "text",
    [
        "no table",
        "[[reason]]\nkind = 'weather'\ncondition = 'x'\nlines.a = [1]",
        "[[reason]]\nkind = 'fault'\nlines.a = [1]",
        TABLE + TABLE,
    ],
)
def test_a_table_that_is_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="no table of reasons"):
        reasons(tmp_path, text)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_the_tables_in_the_repository(path: Path) -> None:
    assert Reasons(path).idle([])  # it has rows

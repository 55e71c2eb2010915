"""Basic blocks of a small program, which binutils assemble as GCC compiled it: `small.c` and `small.s`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from warmboot.errors import InputError
from warmboot.oracle.reached.blocks import Block, blocks
from warmboot.oracle.reached.debug_file import DebugFile

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def debug(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebugFile]:
    folder = tmp_path_factory.mktemp("small")
    subprocess.run(["as", "-o", folder / "small.o", HERE / "small.s"], check=True)
    at = ["-Ttext=0x400000", "--defsym=told=0x600000", "--entry=counted"]
    subprocess.run(["ld", *at, "-o", folder / "small", folder / "small.o"], check=True)
    with DebugFile(folder / "small") as opened:
        yield opened


def found(debug: DebugFile) -> list[Block]:
    return blocks(debug, debug.functions(["small.c"]))


def test_a_function_has_its_pieces(debug: DebugFile) -> None:
    [function] = debug.functions(["small.c"])
    assert function.name == "counted"
    assert len(function.ranges) == 2
    assert function.ranges[0].start != 0x400000  # the unlikely piece comes first in the file


def test_blocks_begin_where_something_jumps(debug: DebugFile) -> None:
    lines = {(each.place.line, each.place.function) for each in found(debug)}
    here = {(12, "counted"), (13, "counted"), (20, "counted"), (21, "counted")}
    assert lines == here | {(5, "twice"), (6, "twice"), (7, "twice")}
    assert len(found(debug)) == len(lines)
    assert found(debug)[0].place.line == 21


def test_a_line_is_counted_from_its_function(debug: DebugFile) -> None:
    places = {each.place.line: each.place for each in found(debug)}
    assert (places[6].function, places[6].offset) == ("twice", 3)
    assert (places[20].function, places[20].offset) == ("counted", 10)


def test_behind_a_warning_the_code_goes_on_and_behind_a_trap_not(debug: DebugFile) -> None:
    by_line = {each.place.line: each for each in found(debug)}
    warning, trap = by_line[13], by_line[21]
    assert warning.end - warning.start > 2  # ud2, and what is assigned behind it
    assert trap.end - trap.start <= 2


def test_blocks_know_where_they_are_entered_from(debug: DebugFile) -> None:
    by_line = {each.place.line: each for each in found(debug)}
    assert by_line[12].before == ()
    assert by_line[13].before == (by_line[12].start,)
    assert by_line[21].before == (by_line[20].start,)


def test_a_file_that_is_no_part_of_it(debug: DebugFile) -> None:
    with pytest.raises(InputError, match=r"nothing of kernel/kexec\.c"):
        debug.functions(["small.c", "kernel/kexec.c"])

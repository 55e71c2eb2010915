"""Recorded traces: the model agrees on every call, and each holds the kinds of calls that its configuration promises.

They are made by `python bench/matrix.py --keep FOLDER --calls N`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from warmboot.debian import KERNELS
from warmboot.kernel import choose
from warmboot.memmap import Facts
from warmboot.oracle.calls.coverage import Kind
from warmboot.oracle.calls.files import read_lines
from warmboot.oracle.calls.fuzz import compare_answers, generated
from warmboot.oracle.calls.matrix import CELLS, Cell
from warmboot.oracle.calls.read_trace import read_header, read_rows
from warmboot.oracle.calls.replay import Player
from warmboot.oracle.calls.trace import Answer, Operation

TRACES = sorted((Path(__file__).parents[2] / "traces").glob("*.xz"))
FEWEST = 900  # calls of a trace
MOST_BYTES = 1_500_000  # of all traces
MAIN, NO_RESERVATION = CELLS[:2]


def name_of(path: Path) -> str:
    return path.name.removesuffix(".jsonl.xz")


def cell_of(path: Path) -> Cell:
    """The configuration that a trace's name tells, after the kernel's."""
    [found] = [each for each in CELLS if name_of(path).partition("-")[2].partition("-")[2] == each.slug]
    return found


def test_there_are_traces_of_every_kernel_and_every_configuration() -> None:
    names = {name_of(path) for path in TRACES}
    assert {f"linux-{series}-{MAIN.slug}" for series in KERNELS} <= names
    assert {cell_of(path).name for path in TRACES} == {each.name for each in CELLS}
    assert sum(path.stat().st_size for path in TRACES) < MOST_BYTES


@pytest.mark.parametrize("path", TRACES, ids=name_of)
def test_trace(path: Path) -> None:
    cell = cell_of(path)
    header, *lines = read_lines(str(path))
    facts = read_header(header, path.name)
    assert facts.release.startswith(f"{path.name.split('-')[1]}.")
    assert facts.cmdline.endswith(cell.append)
    assert cell.memory * 0.7 < facts.totalram_pages * facts.page_size < cell.memory
    operations, answers = read_whole(lines, path.name)
    results, coverage = compare_answers(facts, operations, answers)
    assert [each for each in results if each is not None] == []
    assert len(results) == len(lines) >= FEWEST
    assert cell.promises(choose(facts).profile) - coverage.kinds.keys() == set()


def read_whole(lines: Sequence[str], name: str) -> tuple[list[Operation], list[Answer]]:
    """Operations, each of which was answered."""
    rows = list(read_rows(lines, name))
    return [row.operation for row in rows], [row.answer for row in rows if row.answer is not None]


def test_a_promise_that_is_not_kept_is_seen() -> None:
    """By what was compared, not by what was meant."""
    facts = Facts.of_pc(1 << 30, crashkernel=16 << 20)
    operations = generated(facts, 1, 600)
    with Player(facts) as player:
        answers = [player.play(each) for each in operations]
    _, coverage = compare_answers(facts, operations, answers)
    assert MAIN.promises(choose(facts).profile) - coverage.kinds.keys() == set()
    assert NO_RESERVATION.promises(choose(facts).profile) <= coverage.kinds.keys()

    wrong = [each._replace(ret=each.ret - 1) for each in answers]
    results, coverage = compare_answers(facts, operations, wrong)
    assert None not in results
    assert not coverage.kinds
    _, coverage = compare_answers(facts, operations[:20], answers[:20])
    assert Kind.DISABLED not in coverage.kinds


@pytest.mark.parametrize(("release", "gone"), [("6.1.0", Kind.LIMIT_REACHED), ("6.3.0", Kind.NO_LIMITS)])
def test_a_promise_is_that_of_the_release(release: str, gone: Kind) -> None:
    both = {Kind.LIMIT_REACHED, Kind.NO_LIMITS}
    profile = choose(Facts.of_pc(1 << 30, release=release)).profile
    assert MAIN.promises(profile) & both == both - {gone}

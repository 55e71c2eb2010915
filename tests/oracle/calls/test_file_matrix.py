"""Recorded traces of file calls and live updates: the model agrees on every call, and together they meet the rules.

They are made by `python bench/handover_calls.py KERNEL --keep FOLDER`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from warmboot.kernel import luo_rules, rules
from warmboot.oracle.calls.contents import Contents
from warmboot.oracle.calls.file_matrix import FILE_CELLS, HANDOVER_CELLS
from warmboot.oracle.calls.files import read_lines
from warmboot.oracle.calls.fuzz import compare_answers
from warmboot.oracle.calls.read_trace import read_header, read_rows, read_version
from warmboot.oracle.calls.trace import Answer, Operation, version_of

TRACES = sorted((Path(__file__).parents[2] / "traces" / "files").glob("*.xz"))
MOST_BYTES = 400_000  # of all
# No call of a process brings these about: blocks of 510,000 sessions and 630,000 files, seals that no kernel knows, and
# what a kernel before left that this one cannot read.
NOT_PROVOKED = {luo_rules.SESSIONS_FULL, luo_rules.FILES_FULL, luo_rules.MEMFD_SEALS, luo_rules.DESERIALIZED}


def read(path: Path) -> tuple[list[Operation], list[Answer], Counter[str], int]:
    """A trace's calls and answers, the rules that refused them, and on how many the model disagrees."""
    header, *lines = read_lines(str(path))
    facts = read_header(header, path.name)
    contents = Contents()
    rows = list(read_rows(lines, path.name, contents=contents, version=read_version(header)))
    operations = [row.operation for row in rows]
    answers = [row.answer for row in rows if row.answer is not None]
    assert len(answers) == len(operations) == len(lines) - len(contents)
    results, coverage = compare_answers(facts, operations, answers, contents=contents)
    return operations, answers, coverage.rules, sum(each is not None for each in results)


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.name.removesuffix(".jsonl.xz"))
def test_trace(path: Path) -> None:
    operations, _, _, disagree = read(path)
    assert disagree == 0
    assert version_of(operations) == 2
    assert len(operations) >= 100


def test_there_are_traces_of_every_configuration() -> None:
    names = [path.name for path in TRACES]
    for cell in (*FILE_CELLS, *HANDOVER_CELLS):
        assert any(f"-{cell.slug}-" in name for name in names), cell.name
    assert sum(path.stat().st_size for path in TRACES) < MOST_BYTES


def test_they_meet_every_rule_that_a_call_can_meet() -> None:
    met: Counter[str] = Counter()
    errnos: set[int] = set()
    for path in TRACES:
        _, answers, found, _ = read(path)
        met += found
        errnos |= {-each.ret for each in answers if each.ret < 0}
    wanted = {getattr(luo_rules, name) for name in luo_rules.__all__} - NOT_PROVOKED
    wanted |= {*rules.READ_RULES} - {rules.FILE_APPRAISED}  # IMA's policy needs a configuration: bench/secure_boot.py
    wanted |= {rules.FILE_FLAGS, rules.IMAGE, rules.SIGNATURE, rules.CAP_SYS_BOOT, rules.TRUNCATED}
    wanted |= {rules.COMMAND_LINE_END, rules.COMMAND_LINE, rules.HOLE, rules.LOAD_DISABLED, rules.LOAD_LIMIT}
    assert {each.name for each in wanted} - met.keys() == set()

"""A rehearsal's first words: what its files tell of a start that will fail, and nothing where they tell nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from warmboot.debian import cpio, kernel
from warmboot.figures import RisksFigures
from warmboot.memmap import Facts
from warmboot.placement.command_line import CommandLineRequest
from warmboot.rehearsal.options import Options
from warmboot.rehearsal.rehearse import rehearse
from warmboot.report.text.figures import figures_lines

MIB = 1 << 20
WHOLE = cpio.archive([cpio.directory("dev"), cpio.file("init", b"\xa5" * 70_000, 0o755)])


@pytest.mark.parametrize(
    ("append", "initrd", "rules"),
    [
        ("quiet", WHOLE, ()),
        ("quiet", WHOLE[:50_000], ("initrd_broken",)),
        ("mem=64M", WHOLE, ("memory_map",)),
        ("mem=64M", WHOLE[:50_000], ("initrd_broken", "memory_map")),
        ("mem=900M", WHOLE, ()),
    ],
)
def test_what_files_tell_comes_first(append: str, initrd: bytes, rules: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "initrd"
    path.write_bytes(initrd)
    options = Options(kernel("6.12"), Facts.of_pc(1024 * MIB), [path], CommandLineRequest(append), boot=False)
    result = rehearse(options)
    assert result.exit_status == 0, result.verdict  # nothing is refused for it
    names = [each.name for each in result.stages]
    assert names == ["inspect", *(["risks"] if rules else []), "place", "permit", "load", "hand over", "boot"]
    if rules:
        risks = result.figures(RisksFigures)
        assert tuple(each.rule for each in risks.risks) == rules
        assert f"warmboot explain {rules[0]}" in figures_lines(risks)[-1]

"""The fuzz targets: what found faults before finds none, nor does a short run; `tools/fuzz` runs them for longer."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.run import CORPUS
from fuzz.targets import TARGETS

RUNS = 400  # of each target; the same seed gives the same inputs
PATIENCE = 600.0  # seconds: never what it takes
LARGEST = 256 << 10  # bytes of all that is kept
INPUTS = sorted(path for path in CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_before(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_each_target_has_a_small_corpus() -> None:
    assert {path.parent.name for path in INPUTS} == set(TARGETS)
    assert sum(path.stat().st_size for path in INPUTS) < LARGEST


@pytest.mark.needs_atheris
@pytest.mark.slow(12)
def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    """One process imports everything; each target is a child of it."""
    program = Path(__file__).with_name("run.py")
    options = [f"-runs={RUNS}", "-seed=1", "-timeout=60", "-rss_limit_mb=2048"]
    done = subprocess.run(
        [sys.executable, str(program), "all", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert re.findall(r"^(\w+): no fault$", done.stderr, re.MULTILINE) == list(TARGETS)
    assert done.stderr.count(f"Done {RUNS} runs") == len(TARGETS)
    assert list(tmp_path.iterdir()) == []

"""What this computer cannot run is told once; what fails is named when it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_TESTS = Path(__file__).parent
_CONFTEST = (_TESTS / "conftest.py").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of tests with our settings, of which each test needs something else."""
    tmp_path.joinpath("conftest.py").write_text(_CONFTEST)
    tmp_path.joinpath("pytest.ini").write_text(
        "[pytest]\nmarkers =\n"
        + "".join(f"    needs_{each}: x\n" for each in ("qemu", "root", "namespaces", "apt"))
        + "    one_process: x\n"
    )
    tmp_path.joinpath("test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.needs_qemu\ndef test_guest(): pass\n"
        "@pytest.mark.needs_qemu\ndef test_other_guest(): pass\n"
        "def test_wrong():\n    answer = 41\n    assert answer == 42\n"
        "def test_right(): pass\n"
    )
    return tmp_path


def run(folder: Path, *words: str) -> str:
    """What pytest prints where there is no QEMU."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words, str(folder)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(_TESTS), "WARMBOOT_QEMU": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("workers", ["0", "2"])
def test_failures_are_named_at_once_and_what_is_missing_in_the_end(folder: Path, workers: str) -> None:
    at_once, _, after = run(folder, "-n", workers).partition("= FAILURES =")
    assert "\nFAILED test_it.py::test_wrong - assert 41 == 42\n" in at_once
    assert "not run: 2 tests" in after
    assert after.count("2 tests need QEMU for x86:\n  test_it.py: 2\n  try: apt-get install qemu-system-x86") == 1
    assert "1 failed, 1 passed" in after
    assert "skipped" not in after


def test_a_file_that_shares_a_guest_is_run_by_one_process(folder: Path) -> None:
    """Others are handed out one by one."""
    for name, marks in (("shared", "pytestmark = pytest.mark.one_process\n"), ("free", "")):
        folder.joinpath(f"test_{name}.py").write_text(
            f"import os, pathlib, pytest, time\n{marks}"
            "@pytest.mark.parametrize('number', range(8))\n"
            f"def test_it(number):\n    time.sleep(0.05)\n"
            f"    pathlib.Path({str(folder)!r}, f'{name}-{{os.getpid()}}').touch()\n"
        )
    run(folder, "-n", "2", "--dist", "loadscope", "--no-loadscope-reorder", "-k", "shared or free")
    assert len(list(folder.glob("shared-*"))) == 1
    assert len(list(folder.glob("free-*"))) == 2


def test_what_was_not_asked_for_is_not_missing(folder: Path) -> None:
    printed = run(folder, "-m", "not needs_qemu")
    assert "1 failed, 1 passed" in printed
    assert "not run" not in printed

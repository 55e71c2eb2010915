"""tools/package: the wheel and the source distribution are built and pass their checks."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools/package"


def test_wheel_and_source(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    done = subprocess.run([TOOL, "--quick", "--out", out], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel], [source] = out.glob("*.whl"), out.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [each for each in names if each.endswith("/METADATA")]
        told = archive.read(metadata).decode()
    assert "Requires-Python: >=3.11" in told
    top = {each.partition("/")[0] for each in names}
    assert {each for each in top if not each.startswith("warmboot-")} == {"warmboot"}
    assert any(each.endswith("/share/man/man1/warmboot-rehearse.1") for each in names)
    with tarfile.open(source) as archive:
        files = {each.name.partition("/")[2] for each in archive.getmembers()}
    assert {"README.md", "README.zh-CN.md", "CHANGELOG.md", "mkdocs.yml", "tools/setup", "docs/index.md"} <= files
    assert {"examples/kernel-ci/.gitlab-ci.yml", "tests/conftest.py", "share/man/man8/warmboot-kexec.8"} <= files
    assert not [each for each in files if "__pycache__" in each or each.startswith((".venv", ".cache"))]


@pytest.mark.parametrize("words", [["--no-such"], ["--python"]])
def test_wrong_usage(words: list[str]) -> None:
    done = subprocess.run([TOOL, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, "usage: " in done.stderr) == (2, True)


def test_help_teaches() -> None:
    done = subprocess.run([TOOL, "--help"], capture_output=True, text=True, check=True)
    assert "tools/package --quick" in done.stdout
    assert "Exit status" in done.stdout

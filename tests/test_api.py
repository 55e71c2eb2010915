"""The API: what dir() shows, its types for whoever programs with it, and the README's programs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from ast import literal_eval
from pathlib import Path
from typing import Any

import pytest

import warmboot
import warmboot.images
import warmboot.memmap

ROOT = Path(__file__).parents[1]
PATIENCE = 300.0  # seconds


def pyright(*arguments: str | Path) -> dict[str, Any]:
    """Its report."""
    command = [sys.executable, "-m", "pyright", "--outputjson", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT, check=False)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_dir_shows_the_api_and_tab_completes_it() -> None:
    code = (
        "import warmboot, rlcompleter;"
        "print(*(each for each in dir(warmboot) if not each.startswith('_')));"
        "print(rlcompleter.Completer({'warmboot': warmboot}).complete('warmboot.reh', 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    shown, completed = done.stdout.splitlines()
    assert shown.split() == sorted(set(warmboot.__all__) - {"__version__"})
    assert completed.startswith("warmboot.rehearse")


@pytest.mark.parametrize("package", [warmboot, warmboot.images, warmboot.memmap])
def test_every_name_of_the_api_is_there(package: Any) -> None:  # noqa: ANN401 - a module with names of its own
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name) is not None


def test_no_lazy_name_is_a_modules_too() -> None:
    """Once the module is imported the package's name is the module, and what it was meant for is not found."""
    for package in (ROOT / "src/warmboot").rglob("__init__.py"):
        homes = re.search(r"^_HOMES = (\{.*?^\})", package.read_text(), re.DOTALL | re.MULTILINE)
        for name in literal_eval(homes[1]) if homes else {}:
            assert not (package.parent / f"{name}.py").exists(), f"{package.parent.name}.{name}"
            assert not (package.parent / name).is_dir(), f"{package.parent.name}.{name}"


def test_every_public_name_has_a_type() -> None:
    report = pyright("--verifytypes", "warmboot", "--ignoreexternal")["typeCompleteness"]
    incomplete = [
        f"{each['name']}: {found['message'].splitlines()[0]}"
        for each in report["symbols"]
        if each["isExported"] and not (each["isTypeKnown"] and not each["isTypeAmbiguous"])
        for found in each["diagnostics"]
    ]
    assert incomplete == []
    assert report["completenessScore"] == 1


def test_the_readmes_programs_pass_the_strictest_check(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    for number, block in enumerate(blocks):
        (tmp_path / f"block{number}.py").write_text(block)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "strict"}))
    report = pyright("--project", tmp_path, "--pythonpath", sys.executable)
    assert report["summary"]["filesAnalyzed"] == len(blocks) > 0
    assert [each["message"] for each in report["generalDiagnostics"]] == []

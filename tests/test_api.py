"""The API: what dir() shows, its types for whoever programs with it, and the README's programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import warmboot
import warmboot.images
import warmboot.memmap

ROOT = Path(__file__).parents[1]
PATIENCE = 300.0  # seconds


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

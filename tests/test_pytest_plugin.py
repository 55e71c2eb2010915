"""The plugin for who tests kernels: the example project as it is, and what goes wrong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from support.unprivileged import fresh_home, pip_settings, run_as_ordinary_user
from warmboot.debian import guest_root, kernel

CHECKOUT = Path(__file__).parents[1]
EXAMPLE = CHECKOUT / "examples/kernel-ci"

pytestmark = pytest.mark.needs_qemu


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment |= {"HOME": str(folder), "TMPDIR": str(folder)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def commands(recipe: Path) -> list[str]:
    """The lines that a recipe has a shell run, in their order."""
    job = yaml.safe_load(recipe.read_text("utf-8"))
    if recipe.suffix == ".yml" and "jobs" in job:
        return [each["run"] for each in job["jobs"]["boot"]["steps"] if "run" in each]
    return [*job["boot"]["before_script"], *job["boot"]["script"]]


def test_the_recipes_run_the_same() -> None:
    github, gitlab = (commands(EXAMPLE / each) for each in (".github/workflows/kernel.yml", ".gitlab-ci.yml"))
    assert github == gitlab
    assert [each.split()[0] for each in github] == ["apt-get"] * 2 + ["python3", ".venv/bin/pip", ".venv/bin/pytest"]


@pytest.mark.slow(50)
def test_the_recipe_runs_without_any_privilege(tmp_path: Path) -> None:
    """Its very commands but for the two that need root, by a user with no capability and no KVM."""
    guest_root()
    kernel("6.12")
    wheel = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path), str(CHECKOUT)]
    subprocess.run(wheel, capture_output=True, check=True)
    with fresh_home(EXAMPLE) as home:
        settings = pip_settings()
        shutil.copy(next(tmp_path.glob("*.whl")), home)
        links = f"{settings.get('PIP_FIND_LINKS', '')} {home}".strip()
        variables = {**settings, "PIP_FIND_LINKS": links, "WARMBOOT_CACHE": ".cache/warmboot"}
        told = run_as_ordinary_user("grep Cap /proc/self/status; test -w /dev/kvm || echo no KVM", home, variables)
        if os.getuid() == 0:
            assert re.findall(r"^Cap\w+:\s(\w+)$", told.stdout, re.MULTILINE) == ["0" * 16] * 5
            assert "no KVM" in told.stdout
        for command in commands(EXAMPLE / ".gitlab-ci.yml"):
            if not command.startswith("apt-get "):
                done = run_as_ordinary_user(command, home, variables)
                assert done.returncode == 0, f"{command}\n{done.stdout}"
        assert "4 passed" in done.stdout
        results = ElementTree.parse(home / "results.xml").getroot()
        assert len(list(results.iter("testcase"))) == 4


def test_a_kernel_that_fails_shows_its_console(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.rehearsal(initrd=[], append='panic=-1')\n"
        "def test_it(rehearsal):\n"
        "    assert rehearsal.passed, rehearsal.result.verdict\n"
    )
    done = run(tmp_path, "--warmboot-kernel=6.12")
    assert done.returncode == 1
    assert "Captured console" in done.stdout
    assert "Unable to mount root fs" in done.stdout
    assert "boot failed: Kernel panic" in done.stdout

"""The scripts in tools/, as far as they can be tried without making a machine: what they say, and their statuses."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fuzz.targets import TARGETS

_CHECKOUT = Path(__file__).parents[2]


def run(*words: str | Path) -> tuple[int, str]:
    done = subprocess.run([_CHECKOUT / "tools" / words[0], *words[1:]], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("tool", ["bare", "test"])
def test_help_teaches(tool: str) -> None:
    status, printed = run(tool, "--help")
    assert status == 0
    assert f"tools/{tool} --quick" in printed
    assert "Exit status" in printed
    assert "set -eu" not in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no-such"], "unknown target no-such"),
        (["sizes,no-such"], "unknown target no-such"),
        (["../corpus/x"], "unknown target"),
        *((["sizes", each], f"{each}: not a number of seconds") for each in ("x", "-1", "0", "1e3", "9" * 10)),
    ],
)
def test_wrong_usage_of_fuzz(words: list[str], message: str) -> None:
    status, printed = run("fuzz", *words)
    assert status == 2
    assert printed.startswith(f"fuzz: {message}")
    assert "\n  try: tools/fuzz " in printed


def test_fuzz_teaches_and_lists() -> None:
    status, printed = run("fuzz", "--help")
    assert (status, "tools/fuzz TARGET [SECONDS]" in printed, "set -eu" in printed) == (0, True, False)
    assert run("fuzz", "list")[1].split() == sorted(TARGETS)


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--qiuck"], "unknown option --qiuck"), (["--keep"], "--keep needs a folder"), (["all"], "unknown option all")],
)
def test_wrong_usage_of_bare(words: list[str], message: str) -> None:
    status, printed = run("bare", *words)
    assert status == 2
    assert printed.startswith(f"bare: {message}\n  try: ")


@pytest.mark.needs_root
def test_bare_says_what_it_may_not_do() -> None:
    """Before anything is made: here the right to mount is missing."""
    done = subprocess.run(
        ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", _CHECKOUT / "tools" / "bare"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.startswith("bare: mounts, namespaces and device nodes need root with CAP_SYS_ADMIN")


@pytest.mark.needs_root
def test_the_folder_that_is_kept_is_a_new_one(tmp_path: Path) -> None:
    """Asked before the base is made, which takes minutes."""
    tmp_path.joinpath("file").touch()
    status, printed = run("bare", "--keep", tmp_path)
    assert (status, printed) == (2, f"bare: {tmp_path} is not empty\n  try: name a new folder\n")

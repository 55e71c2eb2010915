"""The installed programs: what the caller's environment has of Python and of programs has no part in what root runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

import warmboot

CHECKOUT = Path(__file__).parents[1]
SCRIPTS = Path(sysconfig.get_path("scripts"))
VERSIONS = {
    "makedumpfile": f"makedumpfile: version 1.7.8 (warmboot {warmboot.__version__})\n"
    "lzo\tenabled\nsnappy\tenabled\nzstd\tenabled\n\n",
    "vmcore-dmesg": "",  # it has none, takes the option for a file, and fails
    "kexec": f"kexec-tools 2.0.32 (warmboot {warmboot.__version__})\n",
    "warmboot": f"warmboot {warmboot.__version__}\n",
}
needs_root = pytest.mark.needs_root


def asked(name: str) -> str:
    """The option that prints the version."""
    return "-v" if name == "makedumpfile" else "--version"


def version(program: Path, environment: Mapping[str, str] | None = None) -> str:
    words: list[str | Path] = [program, asked(program.resolve().name)]
    env = None if environment is None else {**os.environ, **environment}
    done = subprocess.run(
        words, capture_output=True, text=True, check=program.resolve().name != "vmcore-dmesg", env=env
    )
    return str(done.stdout)


@pytest.fixture
def strange(tmp_path: Path) -> dict[str, str]:
    """Modules in the places of ours and of Python's own, and programs that would be found first."""
    for name in ("sitecustomize", "usercustomize", "warmboot", "ctypes", "os", "argparse"):
        (tmp_path / f"{name}.py").write_text("print('strange')\n")
    for name in ("readlink", "python3", "python", "qemu-system-x86_64", "sh"):
        path = tmp_path / name
        path.write_text("#!/bin/sh\necho strange\n")
        path.chmod(0o755)
    return {"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "os.py"), "PATH": str(tmp_path)}


@pytest.mark.parametrize("name", VERSIONS)
def test_the_installed_program(name: str) -> None:
    assert version(SCRIPTS / name) == VERSIONS[name]


@needs_root
@pytest.mark.parametrize("name", VERSIONS)
def test_root_takes_nothing_from_the_environment(name: str, strange: dict[str, str], tmp_path: Path) -> None:
    assert version(SCRIPTS / name, strange) == VERSIONS[name]
    assert version(SCRIPTS / name, {"PYTHONHOME": str(tmp_path)}) == VERSIONS[name]


@needs_root
@pytest.mark.parametrize("name", VERSIONS)
def test_a_link_to_it_finds_its_python(name: str, strange: dict[str, str], tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(SCRIPTS / name)
    assert version(link, strange) == VERSIONS[name]
    beyond = tmp_path / "beyond"
    beyond.symlink_to(link)
    assert version(beyond) == VERSIONS[name]


@needs_root
def test_programs_have_roots_path(strange: dict[str, str], tmp_path: Path) -> None:
    """What runs is the script itself, with a Python beside it that tells what it was given."""
    for name in VERSIONS:
        shutil.copy(CHECKOUT / "scripts" / name, tmp_path / name)
        told = subprocess.run([tmp_path / name, "a b", ""], env=strange, capture_output=True, text=True, check=False)
        assert told.stdout == "strange\n"  # the Python that lies beside the script
        (tmp_path / "python3").write_text('#!/bin/sh\nprintf "%s|" "$PATH" "$@"\n')
        told = subprocess.run([tmp_path / name, "a b", ""], env=strange, capture_output=True, text=True, check=False)
        path, *words = told.stdout.split("|")
        assert path == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        assert words == ["-IS" if name == "kexec" else "-I", str(tmp_path / name), "a b", "", ""]
        (tmp_path / "python3").write_text("#!/bin/sh\necho strange\n")


def test_kexec_starts_without_site_where_all_lies_beside_it(tmp_path: Path) -> None:
    """As pip installs it; `site` comes in for what lies elsewhere."""
    library = tmp_path / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    library.mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (library / "warmboot").symlink_to(CHECKOUT / "src" / "warmboot")
    (tmp_path / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    program = tmp_path / "bin" / "kexec"
    text = (CHECKOUT / "scripts" / "kexec").read_text()
    program.write_text(text.replace("        site.main()", "        sys.stdout.write('site ')\n        site.main()"))
    program.chmod(0o755)
    assert version(program) == VERSIONS["kexec"]
    (library / "warmboot").unlink()
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    assert done.returncode
    assert done.stdout == "site "
    assert "ModuleNotFoundError: No module named 'warmboot'" in done.stderr


def test_pip_installs_the_files_as_they_are() -> None:
    """It replaces a first line that begins with #!python, and what else stands there."""
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    assert "scripts" not in settings["project"]
    wanted = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-scripts"]
    assert wanted == {f"scripts/{name}": name for name in VERSIONS}
    for name, expected in VERSIONS.items():
        source = CHECKOUT / "scripts" / name
        assert source.read_bytes() == (SCRIPTS / name).read_bytes()
        assert os.access(source, os.X_OK)
        words: list[str | Path] = [sys.executable, "-I", source, asked(name)]
        done = subprocess.run(words, capture_output=True, text=True, check=name != "vmcore-dmesg")
        assert done.stdout == expected  # the file is Python too

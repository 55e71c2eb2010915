"""What the drop-in imports on each of its ways: the start of the interpreter is most of what a short command costs."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from pkgutil import walk_packages

import pytest

import warmboot
from support.computers import iomem, memmap, tree
from support.formats import samples
from support.peer import captured
from warmboot.debian import kernel

pytestmark = pytest.mark.needs_namespaces

_MAIN = "import sys; sys.argv[0] = 'kexec'; from warmboot.cli.kexec import main; sys.exit(main())"
_FILES = {
    **memmap([(0x100000, 0x3FFFFFFF, "System RAM")]),
    **iomem([(0x100000, 0x3FFFFFFF, "System RAM"), (0x30000000, 0x37FFFFFF, "  Crash kernel")]),
    "proc/cpuinfo": "flags\t\t: fpu lm\n",
    "sys/kernel/kexec_loaded": "0\n",
    "sys/kernel/kexec_crash_loaded": "0\n",
}
_TELLING = {"cli", "dropin", "lazy", "live", "numbers", "streams", "uapi", "version"}
_SYSTEM_CALLS = ("ctypes",)
_LOADING = ("collections.abc", "ctypes", "enum", "fcntl", "gc", "mmap", "struct", "threading", "xxhash")
_HEAVY = {"dataclasses", "inspect", "re", "typing"}  # each takes a tenth of a load's time


MODULES = {each.name for each in walk_packages(warmboot.__path__, "warmboot.")}


@cache
def _with(*modules: str) -> frozenset[str]:
    """What the interpreter looks for when it starts, and then imports these."""
    code = "".join(f"import {name}\n" for name in modules) or "pass"
    done = subprocess.run(
        [sys.executable, "-IX", "importtime", "-c", code], stderr=subprocess.PIPE, text=True, check=True
    )
    return frozenset(_timed(done.stderr))


def _timed(stderr: str) -> set[str]:
    return {line.rpartition("|")[2].strip() for line in stderr.splitlines() if line.startswith("import time:")}


def _imports(root: Path, *words: str | Path) -> set[str]:
    """Every module that is imported by a command that succeeds, as the interpreter itself tells."""
    found = captured([sys.executable, "-IX", "importtime", "-c", _MAIN, *words], root, answer=lambda _: 0)
    assert found.status == (words[0] == "-e"), found.stderr
    return _timed(found.stderr)


def _ours(names: set[str]) -> set[str]:
    return {name for name in names if name.partition(".")[0] == "warmboot"}


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["-S"], ["-S", "-l"], ["--print-ckr-size"]], ids=" ".join)
def test_to_tell_something_takes_nothing_but_the_options(words: list[str], tmp_path: Path) -> None:
    found = _imports(tree(tmp_path, _FILES), *words)
    assert found - _ours(found) - _with() == {"__future__"}
    assert {name.split(".")[1] for name in _ours(found) if "." in name} <= _TELLING


@pytest.mark.parametrize("words", [["-u"], ["-p", "-u"], ["-c", "-u"], ["-e"]], ids=" ".join)
def test_unloading_and_starting_take_the_system_calls(words: list[str], tmp_path: Path) -> None:
    found = _imports(tree(tmp_path, _FILES), *words)
    assert found - _ours(found) - _with(*_SYSTEM_CALLS) <= {"__future__"}
    assert {name.split(".")[1] for name in _ours(found) if "." in name} <= _TELLING


def test_loading_a_bzimage_takes_no_other_format(tmp_path: Path) -> None:
    initrd = tmp_path / "initrd"
    initrd.write_bytes(bytes(5000))
    words = ("-c", "-l", kernel("6.12"), "--initrd", initrd, "--append", "quiet")
    found = _imports(tree(tmp_path, _FILES), *words)
    assert found - _ours(found) - _with(*_LOADING) <= {"__future__"}
    assert not found & _HEAVY
    rooms = {name.split(".")[1] for name in _ours(found) if "." in name}
    assert not rooms & {"kernel", "machines", "explain", "oracle", "debian", "report", "dump"}
    images = ("addons", "allowance", "decoders", "decompress", "elf", "multiboot", "multiboot2", "sink", "uki", "zstd")
    others = {f"warmboot.images.{name}" for name in images} | {f"warmboot.formats.{name}" for name in ("elf", "pe")}
    assert others <= MODULES
    assert not found & others


def test_the_file_call_takes_no_placement(tmp_path: Path) -> None:
    found = _imports(tree(tmp_path, _FILES), "-s", "-l", kernel("6.12"), "--reuse-cmdline")
    assert found - _ours(found) - _with(*_LOADING) <= {"__future__"}
    assert not found & _HEAVY
    assert not {name.split(".")[1] for name in _ours(found) if "." in name} & {"placement", "purgatory", "memmap"}


def test_a_format_takes_its_own_parser(tmp_path: Path) -> None:
    """The list above is not empty because nothing is seen."""
    path = tmp_path / "elf"
    path.write_bytes(samples()["elf64"])
    assert "warmboot.images.elf" in _imports(tree(tmp_path, _FILES), "-c", "-l", path)

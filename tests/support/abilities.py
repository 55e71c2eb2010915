"""What this computer and this user can do, asked by trying."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

from warmboot.debian.built import missing_packages
from warmboot.errors import MissingToolError
from warmboot.machines.qemu import find_qemu

__all__ = [
    "begin",
    "can_build_kernels",
    "demand",
    "has_apt",
    "has_atheris",
    "has_chromium",
    "has_namespaces",
    "has_qemu",
    "has_shells",
    "is_root",
]

# CLONE_NEWNS and CLONE_NEWNET, and for others than root CLONE_NEWUSER.
_TRY = """
import ctypes, os, sys
flags = 0x40020000 | (0x10000000 if os.getuid() else 0)
sys.exit(ctypes.CDLL(None).unshare(flags) != 0)
"""


def is_root() -> bool:
    """Whether this is root with CAP_SYS_ADMIN."""
    return os.geteuid() == 0 and has_namespaces()


def has_namespaces() -> bool:
    """Whether mount and network namespaces can be made."""
    return subprocess.run([sys.executable, "-I", "-c", _TRY], check=False).returncode == 0


def has_qemu() -> bool:
    """Whether there is a QEMU for x86."""
    try:
        return bool(find_qemu())
    except MissingToolError:
        return False


def can_build_kernels() -> bool:
    """Whether there is what Debian's source of a kernel is built with."""
    return not missing_packages()


def has_apt() -> bool:
    """Whether packages can be fetched by name."""
    return shutil.which("apt-get") is not None and os.path.isdir("/etc/apt")  # noqa: PTH112


def has_atheris() -> bool:
    """Whether there is the fuzzer, which has no packages for every release of Python."""
    return find_spec("atheris") is not None


def has_chromium() -> bool:
    """Whether there is a Chromium, and what steers it."""
    return shutil.which("chromium") is not None and find_spec("playwright") is not None


def has_shells() -> bool:
    """Whether the shells that are no part of a minimal system are there, and `man`."""
    return all(shutil.which(each) for each in ("zsh", "fish", "man"))


_QEMU = os.environ.get("WARMBOOT_QEMU")
_marks: set[str] | None = None


def begin(marks: set[str]) -> None:
    """A test with these marks begins: it finds no QEMU if it has no mark for it."""
    global _marks  # noqa: PLW0603 - one test runs at a time
    _marks = marks
    if "needs_qemu" not in marks:
        os.environ["WARMBOOT_QEMU"] = "/none-as-the-test-has-no-mark-needs_qemu"
    elif _QEMU is None:
        os.environ.pop("WARMBOOT_QEMU", None)
    else:
        os.environ["WARMBOOT_QEMU"] = _QEMU


def demand(need: str) -> None:
    """Fail the test that runs if it is not marked with what it needs: everywhere, not only where that is missing."""
    if _marks is not None and need not in _marks:
        raise AssertionError(f"this test needs what others may not have: mark it with pytest.mark.{need}")

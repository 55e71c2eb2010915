"""Debian's kernels with debug information: vmlinux of the -dbg packages, by name, kept in the cache."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from support.journey import kernel_file
from warmboot.debian import KERNELS, Suite, cache_folder, release
from warmboot.debian.cache import locked

__all__ = ["vmlinux"]


def vmlinux(series: str) -> Path:
    """The vmlinux of the same kernel that the tests boot: some 350 MB, from a package of 300 MB."""
    name = release(kernel_file(series))
    path = cache_folder() / "debug" / f"vmlinux-{name}"
    with locked(path.with_name(f"{path.name}.lock")):
        if not path.exists():
            suite = Suite(KERNELS[series].suite)
            [deb] = suite.fetch([suite.newest(rf"linux-image-{re.escape(name)}-dbg")])
            _unpack(deb, name, path)
            deb.unlink(missing_ok=True)
    return path


def _unpack(deb: Path, name: str, path: Path) -> None:
    """The file alone: the package has every module's symbols, too."""
    root = path.with_name(f".{path.name}.new")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as files:
        command = ["tar", "-x", "-C", str(root), "--wildcards", f"*/boot/vmlinux-{name}", f"*/{name}/vmlinux"]
        subprocess.run(command, stdin=files.stdout, check=True)
    found = max(root.rglob("vmlinux*"), key=lambda each: 0 if each.is_symlink() else each.stat().st_size)
    found.rename(path)
    shutil.rmtree(root)

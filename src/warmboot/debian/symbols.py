"""Debian's kernels with their symbols: the vmlinux of a -dbg package, of the very version that is in the cache."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from warmboot.debian.cache import cache_folder, locked, make_folder
from warmboot.debian.kernels import KERNELS, kernel, release
from warmboot.debian.packages import Suite
from warmboot.errors import InputError, RefusedError
from warmboot.programs import clean_environment, find_program

__all__ = ["extract", "symbols"]


def symbols(series: str, cache: Path | None = None) -> Path:
    """The vmlinux, with debugging information, of `kernel(series)`; fetched unless it is in the cache.

    Of a package of some 320 MB only that file, of about as many, is kept. Raises RefusedError where Debian has the
    package no more: an archive keeps the newest version alone, so `kernel(series, refresh=True)` may help.
    """
    name = release(kernel(series, cache))
    folder = cache_folder(cache) / "symbols"
    path = folder / f"vmlinux-{name}"
    with locked(folder / "lock"):
        if not path.exists():
            suite = Suite(KERNELS[series].suite, cache)
            [deb] = suite.fetch([f"linux-image-{name}-dbg"])
            extract(deb, path)
            deb.unlink()
    return path


def extract(deb: Path, path: Path) -> None:
    """Unpack the one file, so that `path` is there whole or not at all."""
    tools = [find_program(each) for each in ("dpkg-deb", "tar")]
    if None in tools:
        raise InputError("dpkg-deb and tar are needed", hint="as root: apt-get install dpkg tar")
    draft = make_folder(path.parent / "unpacked")
    try:
        with subprocess.Popen(
            [str(tools[0]), "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE, env=clean_environment()
        ) as unpacked:
            wanted = ["--wildcards", f"*/{path.name}", "--no-same-owner"]
            done = subprocess.run(
                [str(tools[1]), "-x", "-C", str(draft), *wanted],
                stdin=unpacked.stdout,
                capture_output=True,
                env=clean_environment(),
                check=False,
            )
        found = [each for each in draft.rglob(path.name) if each.is_file() and not each.is_symlink()]
        if done.returncode or not found:
            raise RefusedError(f"{deb.name} holds no {path.name}", hint="Debian has changed its packages: report it")
        found[0].replace(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)

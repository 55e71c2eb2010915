"""Modules and configurations of Debian's kernels: files of the packages that the kernels come from, unpacked."""

from __future__ import annotations

import lzma
import re
import shutil
from pathlib import Path

from support.journey import kernel_file
from warmboot.debian import KERNELS, Suite, cache_folder, release, unpack
from warmboot.debian.cache import is_stored, locked, store

__all__ = ["config_file", "module_file"]


def module_file(series: str, name: str) -> bytes:
    """The module `name` of the kernel that `kernel_file(series)` is."""
    return _kept(series, f"{name}.ko", (r"linux-modules-{}", r"linux-image-{}"))


def config_file(series: str) -> bytes:
    """The configuration of that kernel."""
    return _kept(series, f"config-{release(kernel_file(series))}", (r"linux-base-{}", r"linux-image-{}"))


def _kept(series: str, name: str, packages: tuple[str, ...]) -> bytes:
    linux = release(kernel_file(series))
    path = cache_folder() / "modules" / linux / name
    with locked(path.parent / "lock"):
        if not is_stored(path):
            suite = Suite(KERNELS[series].suite)
            [deb] = suite.fetch([suite.newest(*(each.format(re.escape(linux)) for each in packages))])
            root = path.parent / "unpacked"
            shutil.rmtree(root, ignore_errors=True)  # what a killed run left
            unpack(deb, root)
            # Since 7.2 a configuration is no longer called by its kernel's release.
            found = [*root.rglob(f"{name}*"), *root.rglob(f"{name.partition('-')[0]}")]
            store(path, _plain(next(each for each in found if each.is_file())))
            shutil.rmtree(root)
    return path.read_bytes()


def _plain(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data

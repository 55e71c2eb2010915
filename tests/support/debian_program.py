"""A program of Debian's packages to compare with: unpacked into the cache, run with its own libraries."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from warmboot.debian import cache_folder, unpack
from warmboot.debian.cache import locked

__all__ = ["command_of"]


def command_of(debs: Sequence[Path], program: str) -> tuple[str, ...]:
    """The command that runs `program`, such as sbin/kexec; the first of the packages names the folder."""
    name = Path(program).name
    folder = cache_folder() / debs[0].name.partition("_")[0] / debs[0].stem
    with locked(folder.parent / "lock"):
        if not folder.exists():
            unpacking = folder.parent / "unpacking"
            shutil.rmtree(unpacking, ignore_errors=True)  # what a killed run left
            for deb in debs:
                unpack(deb, unpacking)
            unpacking.rename(folder)
    loader = next(path for path in folder.rglob("ld-linux-x86-64.so.2") if "x86_64-linux-gnu" in path.parts)
    libraries = sorted({str(path.parent) for path in folder.rglob("lib*.so*")})
    found = next(path for path in folder.rglob(program) if path.is_file())
    return (str(loader), "--argv0", name, "--library-path", ":".join(libraries), str(found))

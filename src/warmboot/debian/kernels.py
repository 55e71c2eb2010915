"""Debian's kernels for virtual machines, one of each series, by the names their packages have."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from warmboot.debian.cache import cache_folder, is_stored, locked, store, write_whole
from warmboot.debian.packages import Suite, unpack
from warmboot.errors import InputError, RefusedError

__all__ = ["KERNELS", "Series", "kernel", "release"]

log: logging.Logger = logging.getLogger("warmboot.debian")


@dataclass(frozen=True, slots=True)
class Series:
    """Where a series of kernels comes from: a suite, and patterns of package names, the best one first.

    The "cloud" flavour has what a virtual machine needs built in, and is small. A package named "unsigned"
    holds the same kernel without a signature, "dbg" its symbols: the patterns match neither.
    """

    suite: str
    patterns: tuple[str, ...]


KERNELS: Mapping[str, Series] = {
    "5.10": Series("bullseye", (r"linux-image-5\.10\.[0-9.]+-[0-9]+-cloud-amd64",)),
    "6.1": Series("bookworm", (r"linux-image-6\.1\.[0-9.]+-[0-9]+-cloud-amd64",)),
    "6.12": Series("bookworm", (r"linux-image-6\.12\.[0-9.]+\+deb12(\.[0-9]+)?-cloud-amd64",)),
    "7.2": Series(
        "sid",
        (
            r"linux-binary-7\.2\.[^-]+-cloud-amd64",
            r"linux-image-7\.2\.[^-]+-cloud-amd64",
            # sid moves on and does not wait: then its newest kernel stands in.
            r"linux-binary-[0-9][^-]+-cloud-amd64",
            r"linux-image-[0-9][^-]+-cloud-amd64",
        ),
    ),
}


def kernel(series: str, cache: Path | None = None, *, refresh: bool = False) -> Path:
    """The compressed kernel (vmlinuz) of a series, downloaded unless it is in the cache.

    What the name resolved to the first time stays, without apt and without a network, until `refresh` asks
    again. Raises InputError for a series that is not in `KERNELS`, RefusedError if it cannot be had.
    """
    if series not in KERNELS:
        raise InputError(f"there is no kernel of series {series!r}", hint=f"one of: {', '.join(KERNELS)}")
    folder = cache_folder(cache) / "kernels" / series
    with locked(folder / "lock"):
        if not refresh and (kept := _kept(folder)):
            return kept
        suite = Suite(KERNELS[series].suite, cache)
        if refresh:
            suite.refresh()
        return _download(series, suite, folder)


def release(path: Path) -> str:
    """The release that a bzImage says it is, what `uname -r` prints when it runs: "6.1.0-56-cloud-amd64".

    Raises InputError if the file cannot be read or holds no such string.
    """
    try:
        with path.open("rb") as image:
            head = image.read(0x10000)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", hint="give a kernel's vmlinuz") from error
    # Documentation/arch/x86/boot.rst: "HdrS" at 0x202, kernel_version at 0x20e is relative to 0x200.
    offset = int.from_bytes(head[0x20E:0x210], "little")
    text = head[0x200 + offset :].partition(b"\0")[0].decode("ascii", "replace").split()
    if head[0x202:0x206] != b"HdrS" or not offset or not text:
        raise InputError(f"{path}: no x86 boot header with a version at offset 0x202", hint="give a kernel's vmlinuz")
    return text[0]


def _kept(folder: Path) -> Path | None:
    """The kernel that was resolved before, if it still is what was stored."""
    try:
        name = (folder / "current").read_text(errors="replace").strip()
    except OSError:
        return None
    path = folder / name
    return path if name.startswith("vmlinuz-") and "/" not in name and is_stored(path) else None


def _download(series: str, suite: Suite, folder: Path) -> Path:
    package = suite.newest(*KERNELS[series].patterns)
    [deb] = suite.fetch([package])
    root = folder / "unpacked"
    shutil.rmtree(root, ignore_errors=True)  # what a killed run left
    try:
        unpack(deb, root)
        image = _vmlinuz(root, package)
        path = folder / f"vmlinuz-{release(image)}"
        store(path, image.read_bytes())
    finally:
        shutil.rmtree(root, ignore_errors=True)
    if not release(path).startswith(f"{series}."):
        log.warning("%s has no kernel %s any more: %s stands in", suite.name, series, release(path))
    write_whole(folder / "current", f"{path.name}\n".encode())
    return path


def _vmlinuz(root: Path, package: str) -> Path:
    # Packages of 5.10 to 6.12 install into /boot, those of 7.2 into the folder of their modules.
    for pattern in ("boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz", "lib/modules/*/vmlinuz"):
        if found := sorted(root.glob(pattern)):
            return found[0]
    raise RefusedError(f"{package} holds no vmlinuz", hint="Debian has changed its kernel packages: report it")

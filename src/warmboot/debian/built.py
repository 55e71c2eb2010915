"""Kernels that Debian does not ship, built from its source package: they hand memory over, or trust in other ways.

Debian's kernels have CONFIG_KEXEC_HANDOVER off. Debian's `linux-source` package is built here with it, and with little
else: what a virtual machine needs. The variants differ in one thing each: a version string, a configuration or the name
of an ABI, so that a kernel which refuses what another one handed over is a real one. Off in Debian's kernels are
appended signatures, revoked certificates and CONFIG_KEXEC_SIG_FORCE too: kernels that have them are of another
configuration.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from warmboot.debian.cache import cache_folder, is_stored, locked, make_folder, store, write_whole
from warmboot.debian.packages import Suite, unpack
from warmboot.debian.tools import complaint, run_tool
from warmboot.errors import InputError, RefusedError

__all__ = ["BUILT", "TRUSTING", "SourceChange", "Variant", "build", "built_changed", "built_kernel", "missing_packages"]

log: logging.Logger = logging.getLogger("warmboot.debian")

_SOURCE = ("sid", r"linux-source-7\.2", r"linux-source-[0-9.]+")
_IMAGE = "vmlinuz"
_NEEDED = {
    "make": "make",
    "gcc": "gcc",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "ld": "binutils",
    "xz": "xz-utils",
}
_HEADERS = {"stdio.h": "libc6-dev", "gelf.h": "libelf-dev"}
# Most of the source is never compiled: drivers of hardware that no virtual machine has, other architectures.
_LEFT_OUT = (
    "*/Documentation/*/*",
    "*/tools/testing",
    "*/arch/[!x]*/*/*.[chS]",
    "*/arch/[!x]*/boot/dts",
    "*/drivers/gpu/drm/*/*.[ch]",
    "*/drivers/gpu/drm/*/*/*.[ch]",
    "*/drivers/gpu/drm/amd/include",
    "*/drivers/media/*/*/*.[ch]",
    "*/drivers/staging/*/*.[ch]",
    "*/drivers/net/wireless/*/*/*.[ch]",
    "*/drivers/net/ethernet/*/*/*.[ch]",
    "*/drivers/scsi/*/*.[ch]",
    "*/sound/*/*/*.[ch]",
)


@dataclass(frozen=True, slots=True)
class Variant:
    """What differs from the first kernel: options off and on, and one word of the source."""

    about: str
    off: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    changed: tuple[str, str, str] | None = None  # the file, what it has, what it gets instead
    config: str = field(default="handover.config", repr=False)


_KHO = ("include/linux/kho/abi/kexec_handover.h", '"kho-v4"')
_LUO = ("include/linux/kho/abi/luo.h", '"luo-v5"')
_MEMFD = ("include/linux/kho/abi/memfd.h", '"memfd-v2"')
BUILT: Mapping[str, Variant] = {
    "kho": Variant("KHO, LUO and memfds that live on"),
    "kho-again": Variant("the same, with another version string"),
    "kho-test": Variant(
        "its own test of KHO (lib/test_kho.c), which preserves at every boot",
        on=("RUNTIME_TESTING_MENU", "TEST_KEXEC_HANDOVER"),
    ),
    "kho-older": Variant("the name of an older ABI of KHO", changed=(*_KHO, '"kho-v3"')),
    "kho-newer": Variant("the name of a newer ABI of KHO", changed=(*_KHO, '"kho-v5"')),
    "luo-newer": Variant("the name of a newer ABI of LUO", changed=(*_LUO, '"luo-v6"')),
    "memfd-newer": Variant("the name of a newer ABI of memfds", changed=(*_MEMFD, '"memfd-v3"')),
    "memfd-off": Variant("without LIVEUPDATE_MEMFD", off=("LIVEUPDATE_MEMFD",)),
    "luo-off": Variant("without LIVEUPDATE", off=("LIVEUPDATE",)),
    "kho-off": Variant("without KEXEC_HANDOVER", off=("KEXEC_HANDOVER",)),
}
# Not among the default ones: their configuration differs in all, and takes as long as the others together.
TRUSTING: Mapping[str, Variant] = {
    "trust": Variant("IMA with appended signatures, revoked certificates, policies to read", config="trust.config"),
    "trust-forced": Variant("the same with KEXEC_SIG_FORCE", on=("KEXEC_SIG_FORCE",), config="trust.config"),
}


_EVERY = {**BUILT, **TRUSTING}


def built_kernel(variant: str, cache: Path | None = None) -> Path:
    """The vmlinuz of a variant, built unless it is in the cache; System.map and config lie beside it.

    The first one takes about five minutes of two cores, the others less than one each. Raises InputError for a name
    that is not known, RefusedError if it cannot be built.
    """
    return build([variant], cache)[variant]


class SourceChange(NamedTuple):
    """What a file of the source has, once, and what it gets instead."""

    file: str
    there: str
    instead: str


def built_changed(changes: Sequence[SourceChange], cache: Path | None = None) -> Path:
    """The vmlinuz of the first variant with other words in its source, built unless it is in the cache.

    Raises RefusedError if it cannot be built, or if the source has not the words that are changed.
    """
    first = next(iter(BUILT))
    digest = hashlib.sha256(repr((_config(BUILT[first].config), list(changes))).encode()).hexdigest()[:12]
    folder = cache_folder(cache) / "built" / f"changed-{digest}"
    image = folder / _IMAGE
    with locked(folder / "lock"):
        if not is_stored(image):
            with _source_tree(folder, cache, refresh=False) as tree:
                for each in changes:
                    _change(tree, each)
                _build(tree, first, folder, {})
    return image


def _change(tree: Path, change: SourceChange) -> None:
    path = tree / change.file
    before = path.read_text(encoding="utf-8")
    if before.count(change.there) != 1:
        raise RefusedError(f"{change.file}: '{change.there}' is not there once", hint="the source has changed")
    path.write_text(before.replace(change.there, change.instead), encoding="utf-8")


def build(
    variants: Sequence[str] = tuple(BUILT), cache: Path | None = None, *, refresh: bool = False
) -> dict[str, Path]:
    """The vmlinuz of each of `variants`; those that are missing are built from one tree. Raises as `built_kernel`.

    What was built stays, whatever sid has since, until `refresh` asks for its newest source.
    """
    for name in variants:
        if name not in _EVERY:
            raise InputError(f"there is no kernel named {name!r} to build", hint=f"one of: {', '.join(_EVERY)}")
    images = {name: cache_folder(cache) / "built" / _key(_EVERY[name].config) / name / _IMAGE for name in variants}
    for folder in dict.fromkeys(each.parent.parent for each in images.values()):
        names = [name for name in _EVERY if name in images and images[name].parent.parent == folder]
        _build_missing(folder, {name: images[name] for name in names}, cache, refresh=refresh)
    return images


def _build_missing(folder: Path, images: Mapping[str, Path], cache: Path | None, *, refresh: bool) -> None:
    """Those of one configuration. Raises RefusedError."""
    if not refresh and all(map(is_stored, images.values())):
        return
    with locked(folder / "lock"):
        missing = [name for name, image in images.items() if refresh or not is_stored(image)]
        if missing:
            if packages := " ".join(missing_packages(next(iter(images)))):
                hint = f"sudo apt-get install {packages}"
                raise RefusedError(f"a kernel cannot be built here without {packages}", hint=hint)
            with _source_tree(folder, cache, refresh=refresh) as tree:
                configured: dict[tuple[str, ...], bytes] = {}
                for name in missing:
                    _build(tree, name, folder / name, configured)


def _config(name: str) -> str:
    return resources.files("warmboot.debian").joinpath(name).read_text(encoding="ascii")


def _key(config: str) -> str:
    """What was built is built again when the configuration or a variant of it has changed."""
    variants = sorted((name, each) for name, each in _EVERY.items() if each.config == config)
    return hashlib.sha256(repr((_config(config), variants)).encode()).hexdigest()[:12]


def missing_packages(variant: str = "kho") -> list[str]:
    """The packages of what that kernel is built with, as far as it is not installed."""
    headers = _HEADERS | ({"openssl/pem.h": "libssl-dev"} if variant in TRUSTING else {})
    missing = [package for tool, package in _NEEDED.items() if shutil.which(tool) is None]
    return missing + [package for header, package in headers.items() if not Path("/usr/include", header).exists()]


@contextlib.contextmanager
def _source_tree(folder: Path, cache: Path | None, *, refresh: bool) -> Iterator[Path]:
    """The source, unpacked and configured for the time of the building: 1.2 GB."""
    suite = Suite(_SOURCE[0], cache)
    if refresh:
        suite.refresh()
    name = suite.newest(*_SOURCE[1:])
    (package,) = suite.fetch([name])
    for left in folder.glob("tree-*"):  # by a run that was killed
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=make_folder(folder), prefix="tree-") as temporary:
        log.info("unpacking the source of %s", package.name.split("_")[1])
        unpack(package, Path(temporary) / "package")
        package.unlink()  # 160 MB that nothing needs again
        (archive,) = (Path(temporary) / "package").glob("usr/src/linux-source-*.tar.xz")
        left_out = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
        kept = "--no-anchored", "--wildcards", "--no-wildcards-match-slash"
        _run(["tar", "--extract", "--xz", "--file", str(archive), *kept, *left_out], Path(temporary))
        shutil.rmtree(Path(temporary) / "package")
        (tree,) = Path(temporary).glob("linux-source-*")
        yield tree


def _build(tree: Path, name: str, folder: Path, configured: dict[tuple[str, ...], bytes]) -> None:
    """In `configured` is what the lines of a configuration have become in this tree, by those lines."""
    variant = _EVERY[name]
    log.info("building the kernel %s: %s", name, variant.about)
    began = time.monotonic()
    _configure(tree, variant, configured)
    with _changed(tree, variant):
        _make(tree, f"LOCALVERSION=-{name}")
    for kept in ("System.map", ".config"):
        write_whole(folder / kept.lstrip("."), (tree / kept).read_bytes())
    store(folder / _IMAGE, (tree / _make(tree, "-s", "image_name").strip()).read_bytes())
    log.info("built in %.0f s", time.monotonic() - began)


def _configure(tree: Path, variant: Variant, configured: dict[tuple[str, ...], bytes]) -> None:
    lines = _config(variant.config).splitlines()
    lines += [f"# CONFIG_{option} is not set" for option in variant.off]
    lines += [f"CONFIG_{option}=y" for option in variant.on]
    if (known := configured.get(tuple(lines))) is not None:
        (tree / ".config").write_bytes(known)
        return
    (tree / "kernel/configs/warmboot.config").write_text("\n".join([*lines, ""]), encoding="ascii")
    _make(tree, "tinyconfig")
    _make(tree, "warmboot.config")
    found = set((tree / ".config").read_text(encoding="ascii").splitlines())
    # What depends on an option that is off is off with it.
    lost = [] if variant.off else [line for line in lines if line.endswith("=y") and line not in found]
    if lost:
        raise RefusedError(f"the source no longer takes {', '.join(lost)}", hint="report it: the package has changed")
    configured[tuple(lines)] = (tree / ".config").read_bytes()


@contextlib.contextmanager
def _changed(tree: Path, variant: Variant) -> Iterator[None]:
    if variant.changed is None:
        yield
        return
    place, there, instead = variant.changed
    path = tree / place
    before = path.read_text(encoding="utf-8")
    if f" {there}" not in before.replace("\t", " "):
        raise RefusedError(f"{place}: {there} is not there", hint="report it: the package has changed")
    path.write_text(re.sub(rf"^(#define\s+\w+\s+){re.escape(there)}", rf"\g<1>{instead}", before, flags=re.MULTILINE))
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


def _make(tree: Path, *targets: str) -> str:
    # The same kernel at every building: no date, no name of this computer.
    fixed = ("KBUILD_BUILD_TIMESTAMP=2026-01-01", "KBUILD_BUILD_USER=warmboot", "KBUILD_BUILD_HOST=warmboot")
    return _run(["make", f"-j{os.cpu_count() or 1}", *fixed, *targets], tree)


def _run(command: Sequence[str], folder: Path) -> str:
    done = run_tool(command, folder=folder)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "rror" in line or "can't" in line]
        raise RefusedError(
            f"{command[0]}: {(errors or [complaint(done)])[0].strip()}",
            hint="make room in the cache folder, and try again",
        )
    return done.stdout

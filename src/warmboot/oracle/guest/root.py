"""The recording guest's root: Python and the agent, as a small initramfs made from Debian packages by name."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import py_compile
import shutil
import sys
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

from warmboot.debian import Suite, cache_folder, cpio, unpack
from warmboot.debian.cache import is_stored, locked, store

__all__ = [
    "agent_layer",
    "contents_layer",
    "file_witness_layer",
    "next_layer",
    "operations_layer",
    "root_layer",
    "witness_layer",
]

log: logging.Logger = logging.getLogger("warmboot.debian")

_SUITE = "bookworm"
_PYTHON = "usr/lib/python3.11"
_PACKAGES = (
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib"),
    *("libc6", "zlib1g", "libexpat1", "libffi8"),
)
_PROGRAMS = ("usr/bin/python3.11",)
_LIBRARIES = ("libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "libz.so.1*", "libexpat.so.1*", "libffi.so.8*")
_MODULES = (
    *("__future__", "_collections_abc", "_sitebuiltins", "abc", "codecs", "genericpath", "io", "os", "posixpath"),
    *("site", "stat", "struct", "encodings/__init__", "encodings/aliases", "encodings/utf_8", "encodings/ascii"),
    *("encodings/latin_1", "ctypes/__init__", "ctypes/_endian", "types"),
)
_EXTENSIONS = ("_ctypes",)
_GUEST = "warmboot.oracle.guest"
_INIT = b"#!/usr/bin/python3.11 -SIB\n"
_LAYOUT = 1  # raised when what is built from the same lists changes
_FURNITURE = (
    *(cpio.directory(name) for name in ("proc", "sys", "dev")),
    cpio.device("dev/console", 5, 1),
    cpio.device("dev/null", 1, 3, 0o666),
)


def root_layer(cache: Path | None = None) -> bytes:
    """The packages' part (cpio, gzip); kept in the cache. Raises RefusedError if the packages cannot be had."""
    lists = [_LAYOUT, _PACKAGES, _PROGRAMS, _LIBRARIES, _MODULES, _EXTENSIONS, sys.version_info[:2]]
    key = hashlib.sha256(json.dumps(lists).encode()).hexdigest()[:16]
    folder = cache_folder(cache) / "guest"
    path = folder / f"oracle-{key}.cpio.gz"
    with locked(folder / "lock"):
        if not is_stored(path):
            log.info("making the recording guest's root")
            store(path, _compressed(_picked(Suite(_SUITE, cache).fetch(_PACKAGES), folder / "unpacked-oracle")))
        return path.read_bytes()


def agent_layer() -> bytes:
    """The part with the agent as /init, and what it imports."""
    return _compressed([_init("agent"), *_package("file_calls.py", "made_files.py"), cpio.directory("tmp")])


def witness_layer(payload: bytes, pattern: bytes) -> bytes:
    """The part with the witness agent as /init, the agent as a module of it, and the files it loads from."""
    entries = [
        _init("witness_agent"),
        *_package("agent.py", "file_calls.py", "made_files.py"),
        cpio.file("payload", payload),
        cpio.file("pattern", pattern),
    ]
    return gzip.compress(cpio.archive(entries), 1, mtime=0)


def file_witness_layer(pattern: bytes) -> bytes:
    """The part with the agent of file-loaded images as /init, and the bytes that its files are made of."""
    modules = _package("agent.py", "witness_agent.py", "file_calls.py", "made_files.py")
    entries = [_init("file_witness_agent"), *modules, cpio.file("pattern", pattern)]
    return gzip.compress(cpio.archive(entries), 1, mtime=0)


def _init(agent: str) -> cpio.CpioEntry:
    return cpio.file("init", _INIT + _source(f"{agent}.py"), 0o755)


def _package(*modules: str) -> list[cpio.CpioEntry]:
    """What the agents import of ours: the part of each architecture, and `modules` of this folder."""
    here = f"{_PYTHON}/warmboot/oracle/guest"
    empty = [f"{_PYTHON}/warmboot", f"{_PYTHON}/warmboot/oracle", here]
    folders = (each for each in resources.files(_GUEST).joinpath("arch").iterdir() if not each.name.startswith("_"))
    parts = ["arch/__init__.py", *(f"arch/{each.name}/__init__.py" for each in folders), *modules]
    return [
        *(cpio.file(f"{each}/__init__.py", b"") for each in empty),
        *(cpio.file(f"{here}/{each}", _source(each)) for each in parts),
    ]


def _source(path: str) -> bytes:
    return resources.files(_GUEST).joinpath(path).read_bytes()


def operations_layer(lines: Iterable[str]) -> bytes:
    """The part with /operations."""
    content = "".join(f"{line}\n" for line in lines).encode()
    return gzip.compress(cpio.archive([cpio.file("operations", content)]), 1, mtime=0)


def contents_layer(contents: Mapping[str, bytes]) -> bytes:
    """The part with what calls refer to by SHA-256."""
    files = [cpio.file(f"contents/{sha256}", data, 0o644) for sha256, data in contents.items()]
    return gzip.compress(cpio.archive([cpio.directory("contents"), *files]), 1, mtime=0)


def next_layer(kernel: bytes, initrd: bytes) -> bytes:
    """The part with the kernel to jump to, and its initrd."""
    files = [cpio.file("next/kernel", kernel), cpio.file("next/initrd", initrd)]
    return gzip.compress(cpio.archive([cpio.directory("next"), *files]), 1, mtime=0)


def _picked(debs: Iterable[Path], folder: Path) -> list[cpio.CpioEntry]:
    """What the agent needs of the packages: unpacking all of it would cost each guest two seconds."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        for deb in debs:
            unpack(deb, folder)
        wanted = [folder / name for name in _PROGRAMS]
        wanted += [path for pattern in _LIBRARIES for path in folder.rglob(pattern)]
        modules = [folder / _PYTHON / f"{name}.py" for name in _MODULES]
        wanted += modules
        wanted += [path for each in _EXTENSIONS for path in (folder / _PYTHON / "lib-dynload").glob(f"{each}.*.so")]
        wanted += _compiled(modules, folder)
        names = {path.relative_to(folder).as_posix() for path in wanted}
        return [*(each for each in cpio.tree(folder) if each.name in names), *_FURNITURE]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _compiled(modules: Iterable[Path], folder: Path) -> list[Path]:
    """The modules' byte code, where this Python's is the guest's: compiling is slow under emulation."""
    if sys.version_info[:2] != (3, 11):
        return []
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compiled = (
        py_compile.compile(str(path), dfile=f"/{path.relative_to(folder)}", doraise=True, invalidation_mode=mode)
        for path in modules
    )
    return [Path(path) for path in compiled if path is not None]


def _compressed(entries: Iterable[cpio.CpioEntry]) -> bytes:
    return gzip.compress(cpio.archive(entries), 9, mtime=0)

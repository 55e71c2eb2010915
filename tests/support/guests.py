"""What guests are made of: parameters that shorten a boot, a shell as initial RAM disk, and disks.

A kernel carries nothing of a disk to the next. An initial RAM disk is read, digested, copied and unpacked
whole at each kexec, and emulation makes all of that slow; of a disk only what is used is read. Debian's cloud kernels
have the drivers of NVMe and ext4 built in; the latter reads ext2 too.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import json
import marshal
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import warmboot
from warmboot.debian import Suite, cache_folder, cpio, unpack
from warmboot.debian.cache import is_stored, locked, store
from warmboot.debian.initramfs import PACKAGES

__all__ = [
    "FAST",
    "STAGE",
    "SYSTEM",
    "busybox",
    "byte_code",
    "ext4",
    "shell",
    "shell_file",
    "stage_disk",
    "system_disk",
]

# Parameters of a kernel that save a third of a boot under emulation: mitigations, self tests of its cryptography,
# certificates that no test asks for, and measuring and waiting for clocks.
FAST = (
    "mitigations=off no_timer_check tsc=reliable cryptomgr.notests"
    " initcall_blacklist=crypto_kdf108_init,init_encrypted,jent_mod_init,cmos_init"
)
SYSTEM, STAGE = "system", "stage"  # the labels of the disks

_PACKAGES = (*PACKAGES, "python3-zstandard", "python3-lz4", "liblz4-1", "python3-xxhash", "libxxhash0")
_LAYOUT = 1  # raised when what is made of the same packages changes
_BLOCK = 4096  # bytes
_HOME = "opt/warmboot"
_PYTHON = "#!/usr/bin/python3.11 -IB\nimport sys\nsys.path[:0] = ['/opt/warmboot/src']\n"
_WRITING = threading.Lock()  # of what a disk is made of
_PROGRAMS = {
    "kexec": _PYTHON + "from warmboot.cli.kexec import main\nsys.exit(main())\n",
    "warmboot": _PYTHON + "from warmboot.cli.main import main\nsys.exit(main())\n",
}


def system_disk() -> Path:
    """Debian's packages: Python, kexec-tools, and what they load; kept in the cache."""
    return _system()[0]


def busybox() -> bytes:
    """The shell and its commands in one program, which needs no library."""
    return _system()[1].read_bytes()


def shell(init: bytes, more: Iterable[cpio.CpioEntry] = ()) -> bytes:
    """An initial RAM disk of 2 MiB: busybox, whose shell runs the script `init`, and `more`."""
    entries = [cpio.directory(each) for each in ("proc", "sys", "dev", "tmp")]
    entries += [cpio.device("dev/console", 5, 1), cpio.file("bin/busybox", busybox(), 0o755)]
    return cpio.archive([*entries, *more, cpio.file("init", init, 0o755)])


def shell_file(folder: Path, script: str = "echo warmboot: user space\n/bin/busybox poweroff -f\n") -> Path:
    """A file in `folder`: `shell` with `script`, which says that it is there unless told otherwise."""
    path = folder / "shell.cpio"
    path.write_bytes(shell(b"#!/bin/busybox sh\n" + script.encode()))
    return path


@contextmanager
def stage_disk(files: Mapping[str, bytes]) -> Iterator[Path]:
    """This checkout's warmboot, below /opt/warmboot, and `files` by their names below /stage."""
    with tempfile.TemporaryDirectory() as folder:
        with _WRITING:
            root = _ours()
            try:
                _write(root, {f"stage/{name}": data for name, data in files.items()})
                disk = Path(shutil.move(ext4(root, STAGE), folder))
            finally:
                shutil.rmtree(root / "stage", ignore_errors=True)
        yield disk


@cache
def _system() -> tuple[Path, Path]:
    key = hashlib.sha256(json.dumps([_LAYOUT, _PACKAGES, sys.version_info[:2]]).encode()).hexdigest()[:16]
    folder = cache_folder() / "guest"
    disk, shell = folder / f"disk-{key}.ext4", folder / f"busybox-{key}"
    with locked(folder / f"disk-{key}.lock"):
        if not (is_stored(disk) and is_stored(shell)):
            with tempfile.TemporaryDirectory() as temporary:
                root = Path(temporary, "root")
                for deb in Suite("bookworm").fetch(_PACKAGES):
                    unpack(deb, root)
                shutil.rmtree(root / "usr/share")
                modules = [(each, each.read_bytes()) for each in root.rglob("*.py") if each.is_file()]
                for path, code in byte_code(modules).items():
                    path.parent.mkdir(exist_ok=True)
                    path.write_bytes(code)
                store(shell, (root / "bin/busybox").read_bytes())
                store(disk, ext4(root, SYSTEM).read_bytes())
    return disk, shell


@cache
def _ours() -> Path:
    """A folder with this checkout's warmboot, written once a process: nearly two thousand files."""
    folder = tempfile.mkdtemp(prefix="warmboot-stage-")
    atexit.register(_remove, folder, os.getpid())
    source, root = Path(warmboot.__file__).parent, Path(folder, "root")
    found = {path: path.read_bytes() for path in source.rglob("*") if path.suffix in {".py", ".bin", ".md", ".txt"}}
    found |= byte_code((path, data) for path, data in found.items() if path.suffix == ".py")
    _write(root, {f"{_HOME}/src/warmboot/{path.relative_to(source)}": data for path, data in found.items()})
    _write(root, {f"{_HOME}/{name}": text.encode() for name, text in _PROGRAMS.items()})
    for name in _PROGRAMS:
        (root / _HOME / name).chmod(0o755)
    return root


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:  # not where a child of it ends
        shutil.rmtree(folder, ignore_errors=True)


def _write(root: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def byte_code(modules: Iterable[tuple[Path, bytes]]) -> dict[Path, bytes]:
    """Modules' byte code, where this Python's is the guest's: compiling is slow there."""
    made: dict[Path, bytes] = {}
    if sys.version_info[:2] != (3, 11):
        return made
    for path, data in modules:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # others' modules too
            try:
                code = compile(data, path.name, "exec", dont_inherit=True)
            except (SyntaxError, ValueError):
                continue  # Python's own tests and templates have some that are meant to fail
        # PEP 552: flags 1, a hash that nobody compares
        compiled = importlib.util.MAGIC_NUMBER + b"\x01\0\0\0" + bytes(8) + marshal.dumps(code)
        made[path.parent / "__pycache__" / f"{path.stem}.cpython-311.pyc"] = compiled
    return made


def ext4(root: Path, label: str, *, spare: int = 0) -> Path:
    """A file system of what is below `root`, beside it, with `spare` bytes more."""
    disk = root.with_name(f"{label}.ext4")
    paths = list(root.rglob("*"))
    blocks = sum(-(-path.lstat().st_size // _BLOCK) + 1 for path in paths)
    size = (blocks + len(paths) // 8 + 1024) * _BLOCK + spare
    tool = shutil.which("mke2fs", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    assert tool is not None, "mke2fs is missing: apt-get install e2fsprogs"
    options = ["-q", "-F", "-t", "ext2", "-m", "0", "-b", str(_BLOCK), "-N", str(len(paths) + 64 + (spare >> 14))]
    options += ["-E", "root_owner=0:0", "-L", label, "-d", str(root)]
    subprocess.run([tool, *options, str(disk), f"{size >> 10}k"], check=True, stdout=subprocess.DEVNULL)
    return disk

"""A guest root: busybox, Python and the tools of kexec, as an initramfs that any of the kernels starts.

It is two cpio archives, each compressed, one after the other: the packages, which take a while and change
rarely, and the /init, which is small. Linux unpacks the second over the first.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from warmboot.debian import cpio
from warmboot.debian.cache import cache_folder, is_stored, locked, sha256_of, store, write_whole
from warmboot.debian.packages import Suite, unpack

__all__ = ["DEFAULT_INIT", "PACKAGES", "guest_root"]

log: logging.Logger = logging.getLogger("warmboot.debian")

_SUITE = "bookworm"

# Programs, and after them the libraries they load. Names, not versions: within one suite they stay.
PACKAGES = (
    *("busybox-static", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib"),
    *("kexec-tools", "kmod", "strace"),
    *("libc6", "libgcc-s1", "zlib1g", "libexpat1", "libssl3", "libcrypt1", "libffi8", "libbz2-1.0", "liblzma5"),
    *("libsqlite3-0", "libuuid1", "libdb5.3", "libreadline8", "libncursesw6", "libtinfo6", "libzstd1"),
    *("libnsl2", "libtirpc3", "libgssapi-krb5-2", "libkrb5-3", "libk5crypto3", "libkrb5support0"),
    *("libcom-err2", "libkeyutils1", "libunwind8", "media-types"),
    # kexec-tools is linked with Xen's libraries.
    *("libxenmisc4.17", "libxencall1", "libxendevicemodel1", "libxenevtchn1", "libxenforeignmemory1"),
    *("libxengnttab1", "libxenhypfs1", "libxenstore4", "libxentoolcore1", "libxentoollog1", "libyajl2"),
    "libext2fs2",
)

_DROPPED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/bug")

_FURNITURE = (
    *(cpio.directory(name) for name in ("proc", "sys", "root", "run", "mnt")),
    cpio.directory("tmp", 0o1777),
    # Linux opens /dev/console for the first program before anything is mounted on /dev.
    cpio.device("dev/console", 5, 1),
    cpio.device("dev/null", 1, 3, 0o666),
    cpio.symlink("bin/sh", "busybox"),
    cpio.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"),
    cpio.file("etc/group", b"root:x:0:\n"),
)

# Raised when what is built from the same packages and init changes.
_LAYOUT = 1

DEFAULT_INIT = """\
#!/bin/sh
# The first program of the guest: say what there is to see, in one line, and power off.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox --install -s /bin
dmesg -n 1 # so that the kernel does not write into the line
acpi=no
if [ -e /sys/firmware/acpi/tables/DSDT ]; then acpi=yes; fi
python=$(python3.11 -c 'import ctypes, hashlib, json, platform; print(platform.python_version())')
echo "warmboot: user space release=$(uname -r) cpus=$(nproc) acpi=$acpi python=${python:-none}"
poweroff -f
"""


def guest_root(cache: Path | None = None, *, init: str | bytes = DEFAULT_INIT, refresh: bool = False) -> Path:
    """An initramfs (cpio, gzip) whose first program is `init`, a shell script or any executable's bytes.

    It has busybox as /bin/sh, /usr/bin/python3.11 with its standard library, kexec, kmod and strace. The
    file's name holds a key of all that is in it; one that is in the cache is not made again, and needs no
    apt. `refresh` resolves the packages again. Raises RefusedError if they cannot be had.
    """
    folder = cache_folder(cache) / "guest"
    program = init.encode() if isinstance(init, str) else init
    suite = Suite(_SUITE, cache)
    with locked(folder / "lock"):
        if refresh:
            suite.refresh()
        packages = (None if refresh else _recorded(folder)) or _resolve(folder, suite)
        path = _root_path(folder, packages, program)
        if is_stored(path):
            return path
        base = _base_path(folder, packages)
        if not is_stored(base):
            if any(sha256_of(suite.archives / name) != digest for name, digest in packages.items()):
                packages = _resolve(folder, suite)
            base = _base_path(folder, packages)
            path = _root_path(folder, packages, program)
            log.info("making the guest root of %d packages", len(packages))
            store(base, _compress(_base_layer([suite.archives / name for name in packages], folder)))
        store(path, base.read_bytes() + _compress(cpio.archive([cpio.file("init", program, 0o755)])))
        return path


def _recorded(folder: Path) -> dict[str, str] | None:
    """The package files (name to SHA-256) that `PACKAGES` resolved to before."""
    try:
        record = json.loads((folder / "packages.json").read_bytes())
        files = {str(name): str(digest) for name, digest in record["files"].items()}
        return files if record["packages"] == list(PACKAGES) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # absent or damaged: resolved again


def _resolve(folder: Path, suite: Suite) -> dict[str, str]:
    files = {deb.name: sha256_of(deb) or "" for deb in suite.fetch(PACKAGES)}
    record = json.dumps({"packages": PACKAGES, "files": files}, indent=1)
    write_whole(folder / "packages.json", record.encode())
    return files


def _base_path(folder: Path, packages: Mapping[str, str]) -> Path:
    content = json.dumps([_LAYOUT, _DROPPED, sorted(packages.items())])
    return folder / f"packages-{_key(content.encode())}.cpio.gz"


def _root_path(folder: Path, packages: Mapping[str, str], program: bytes) -> Path:
    base = _base_path(folder, packages).name.encode()
    return folder / f"guest-root-{_key(base + bytes(1) + program)}.cpio.gz"


def _key(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _base_layer(debs: Iterable[Path], folder: Path) -> bytes:
    """The archive of what the packages hold, and of what a root needs besides."""
    root = folder / "unpacked"
    shutil.rmtree(root, ignore_errors=True)  # what a killed run left
    try:
        for deb in debs:
            unpack(deb, root)
        for name in _DROPPED:
            shutil.rmtree(root / name, ignore_errors=True)
        return cpio.archive([*cpio.tree(root), *_FURNITURE])
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _compress(data: bytes) -> bytes:
    # No time and no name in the header: the same content gives the same bytes.
    return gzip.compress(data, 9, mtime=0)

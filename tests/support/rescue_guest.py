"""A guest with a watchdog: Debian's kernel of all machines, its module i6300esb, and QEMU's device of that name.

Debian's cloud kernels have no such driver. The full flavour has disks and file systems as modules too, which are
loaded first; then all is as in a journey, but for what the reset brings: the same kernel, by firmware, once more.
"""

from __future__ import annotations

import lzma
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from support import journey
from warmboot.debian import Suite, cache_folder, cpio, unpack
from warmboot.debian.cache import is_stored, locked, store

__all__ = ["WATCHDOG", "full_kernel", "initrd_with_modules"]

WATCHDOG = ("-device", "i6300esb", "-action", "watchdog=reset")  # QEMU's options
_SUITES = {
    "6.1": r"linux-image-6\.1\.[0-9.]+-[0-9]+-amd64",
    "6.12": r"linux-image-6\.12\.[0-9.]+\+deb12(\.[0-9]+)?-amd64",
}
_MODULES = ("nvme", "crc32c_generic", "ext4", "i6300esb")
_LAYOUT = 2


@cache
def full_kernel(series: str) -> Path:
    """Debian's kernel of all machines; the modules that are needed lie beside it, by their names."""
    folder = cache_folder() / "modules" / f"{series}-amd64-{_LAYOUT}"
    kernel = folder / "vmlinuz"
    with locked(folder / "lock"):
        if not is_stored(kernel):
            suite = Suite("bookworm")
            [deb] = suite.fetch([suite.newest(_SUITES[series])])
            root = folder / "unpacked"
            shutil.rmtree(root, ignore_errors=True)
            unpack(deb, root)
            for name, data in _closure(root, _MODULES):
                store(folder / f"{name}.ko", data)
            (folder / "order").write_text(" ".join(name for name, _ in _closure(root, _MODULES)))
            store(kernel, next(root.glob("boot/vmlinuz-*")).read_bytes())
            shutil.rmtree(root)
    return kernel


def initrd_with_modules(series: str, init: str, watchdog: str = "stop_on_reboot=0") -> bytes:
    """The initial RAM disk of a journey, whose modules are loaded before the shell script `init` goes on.

    `watchdog` are the parameters of the module watchdog. In the script all disks are mounted, as in a hop's.
    """
    folder = full_kernel(series).parent
    order = (folder / "order").read_text().split()
    files = [cpio.directory("modules")]
    files += [cpio.file(f"modules/{name}.ko", (folder / f"{name}.ko").read_bytes()) for name in order]
    words = {"watchdog": watchdog}
    lines = [f"/bin/busybox insmod /modules/{name}.ko {words.get(name, '')}" for name in order]
    whole = journey.INIT.replace('if [ -e /stage/hops/$hop ]; then . /stage/hops/$hop; else say "end"; fi\n', init)
    script = "\n".join(["#!/bin/busybox sh", *lines, whole.partition("\n")[2]])
    return journey.initial_ram_disk() + cpio.archive([*files, cpio.file("init", script.encode(), 0o755)])


def _closure(root: Path, names: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """The modules and what they depend on, each after all that it needs."""
    paths = {each.name.partition(".")[0].replace("-", "_"): each for each in root.rglob("*.ko*")}
    done: set[str] = set()

    def with_needed(name: str) -> Iterator[tuple[str, bytes]]:
        if name in done or name not in paths:
            return
        done.add(name)
        data = paths[name].read_bytes()
        data = lzma.decompress(data) if paths[name].suffix == ".xz" else data
        depends = re.search(rb"\0depends=([^\0]*)\0", data)
        softly = re.search(rb"\0softdep=pre: ([^\0]*)\0", data)
        needed = (depends[1].decode().split(",") if depends else []) + (softly[1].decode().split() if softly else [])
        for each in needed:
            yield from with_needed(each.replace("-", "_"))
        yield name, data

    for each in names:
        yield from with_needed(each)

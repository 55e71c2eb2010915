"""Real Linux to try things on: Debian's kernels and a guest root, by package name, into a private cache.

Nothing here changes the system: the package lists, the downloads and what is unpacked live in the cache
folder, so no privilege is needed. Versions are never pinned; a name is resolved when it is first asked for,
and what it resolved to stays in the cache until it is refreshed or removed.
"""

from __future__ import annotations

from warmboot.debian.built import BUILT, build, built_kernel
from warmboot.debian.cache import cache_folder
from warmboot.debian.initramfs import DEFAULT_INIT, guest_root
from warmboot.debian.kernels import KERNELS, kernel, release
from warmboot.debian.packages import SUITES, Suite, unpack

__all__ = [
    "BUILT",
    "DEFAULT_INIT",
    "KERNELS",
    "SUITES",
    "Suite",
    "build",
    "built_kernel",
    "cache_folder",
    "guest_root",
    "kernel",
    "release",
    "unpack",
]

"""Programs that are run, often as root: found in the system's own folders, and told nothing that the caller's
environment says."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

__all__ = ["PATH", "clean_environment", "find_program"]

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# Where the network is; whatever comes over it is checked. All else (APT_CONFIG, GNUPGHOME, TAR_OPTIONS, ...) changes
# what a program does.
_KEPT = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


def find_program(name: str) -> str | None:
    """The path of a program in PATH, whatever the caller's PATH is; of a `name` with a slash, that file itself.

    None where there is none.
    """
    return shutil.which(name, path=PATH)


def clean_environment(**more: str) -> dict[str, str]:
    """The environment for a program: PATH, plain English, and where the network is; then `more`."""
    return {"PATH": PATH, "LC_ALL": "C", "HOME": "/nonexistent", **dict(_network()), **more}


def _network() -> Iterator[tuple[str, str]]:
    for name in _KEPT:
        for each in (name, name.upper()):
            if each in os.environ:
                yield each, os.environ[each]

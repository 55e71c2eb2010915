"""Which Debian mirror this system uses: read from its own package sources, never written down here."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from warmboot.debian.tools import run_tool
from warmboot.errors import InputError, RefusedError
from warmboot.visible import visible

__all__ = ["MIRROR_VARIABLE", "Mirrors", "system_mirrors"]

MIRROR_VARIABLE = "WARMBOOT_DEBIAN_MIRROR"

_ARCHIVE = re.compile(r"'(?P<uri>[^']+?)/dists/(?P<codename>[^/']+(?:/updates)?)/main/binary-")
_ADDRESS = re.compile(r"[a-z][a-z+]*:[!-Z^-~]+")
_RELEASES = {
    *("bullseye", "bookworm", "trixie", "forky", "duke", "sid"),
    *("oldoldstable", "oldstable", "stable", "testing", "unstable"),
}


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Addresses of Debian's main archive and of its security archive, without a slash at the end."""

    main: str
    security: str


def system_mirrors(options: Sequence[str] = ()) -> Mirrors:
    """The mirrors of this system: $WARMBOOT_DEBIAN_MIRROR if set, else those of its package sources; `options` are
    apt's, such as `-o Dir::Etc::sourcelist=FILE`.

    Raises InputError for an address that is none, RefusedError if the system has none, MissingToolError if apt is not
    installed.
    """
    if chosen := os.environ.get(MIRROR_VARIABLE):
        if not _ADDRESS.fullmatch(chosen):  # it becomes a word in a list of package sources
            raise InputError(
                f"{MIRROR_VARIABLE}: '{visible(chosen, most=80)}' is no address",
                hint="give the part before /dists, such as http://MIRROR/debian",
            )
        return Mirrors(chosen.rstrip("/"), _security_beside(chosen))
    for archives in (_known_archives, _configured_archives):
        main: str | None = None
        security: str | None = None
        for uri, codename in archives(options):
            if codename in _RELEASES:
                main = main or uri
            elif re.sub(r"(-security|/updates)$", "", codename) in _RELEASES:
                security = security or uri
        if main:
            return Mirrors(main, security or _security_beside(main))
    raise RefusedError(
        "this system's package sources name no Debian mirror",
        hint=f"set {MIRROR_VARIABLE} to the address of one (the part of it before /dists), or add a line "
        "'deb ADDRESS bookworm main' to /etc/apt/sources.list",
    )


def _known_archives(options: Sequence[str]) -> list[tuple[str, str]]:
    """(address, codename) of what this system has lists of, and whose Release file says Debian."""
    done = run_tool(["apt-get", *options, "indextargets", "--format", "$(ORIGIN) $(REPO_URI) $(CODENAME)"])
    rows = (line.split() for line in done.stdout.splitlines())
    return [(row[1].rstrip("/"), row[2]) for row in rows if len(row) == 3 and row[0] == "Debian"]


def _configured_archives(options: Sequence[str]) -> list[tuple[str, str]]:
    """The same from the addresses that an update would read: also known where the lists were never fetched."""
    done = run_tool(["apt-get", *options, "--print-uris", "update"])
    return [(found["uri"], found["codename"]) for found in _ARCHIVE.finditer(done.stdout)]


def _security_beside(main: str) -> str:
    # Debian's own hosts and nearly every mirror keep the security archive beside the main one.
    return f"{main.rstrip('/')}-security"

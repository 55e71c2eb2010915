"""From Debian's signature to a package file's SHA-256: a Release file names the digests of the package lists, a package
list those of the packages (Debian wiki, DebianRepository/Format).

apt has read the lists from the mirror; here nothing that it decided counts. A package file is Debian's where this chain
leads to it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from warmboot.debian.signatures import KEYRING, signed_text
from warmboot.errors import RefusedError
from warmboot.files.mapped import map_file
from warmboot.images import decompressed
from warmboot.visible import visible

__all__ = ["Release", "package_digests", "parse_release", "signed_lists"]

_LIST = "main/binary-amd64/Packages"
_LARGEST = 512 << 20  # bytes of a package list; sid's has 60 MiB
_DIGEST = re.compile(r" ([0-9a-f]{64}) +[0-9]{1,15} (\S+)")
_SHA256 = re.compile(rb"^SHA256: *([0-9a-f]{64})[ \t]*$", re.MULTILINE)
_LONGEST = 64 << 10  # bytes of a package's paragraph; the longest known has 12 KiB
_HINT = "remove the folder of the suite in the cache: its lists are read from the mirror again"


@dataclass(frozen=True, slots=True)
class Release:
    """A Release file: which archive it is of, and the SHA-256 of the files in it."""

    origin: str
    codename: str
    digests: Mapping[str, str]


def signed_lists(folder: Path, archives: Sequence[str], *, keyring: Path = KEYRING) -> list[memoryview]:
    """The package lists of these archives in apt's folder of lists, unpacked.

    An archive of which there is no list is left out. Raises RefusedError where there is a list, and no Release file
    that is signed by a key in `keyring`, is that archive's, and has the list's digest; MissingToolError without gpgv.
    """
    return [
        _checked(path, archive, keyring)
        for archive in archives
        for path in sorted(folder.glob(f"*_dists_{archive}_main_binary-amd64_Packages*"))
    ]


def _checked(path: Path, archive: str, keyring: Path) -> memoryview:
    """A package list, unpacked, whose digest is signed."""
    base = path.name.rpartition("_main_binary-amd64_Packages")[0]
    release, signature = path.with_name(f"{base}_InRelease"), None
    if not release.exists():
        release, signature = path.with_name(f"{base}_Release"), path.with_name(f"{base}_Release.gpg")
    text = signed_text(release, signature, keyring=keyring)
    told = parse_release(text.decode("utf-8", "replace"))
    if told.codename != archive:
        raise RefusedError(
            f"{base}: a signed list of '{visible(told.codename, most=40)}', not of {archive}",
            hint="use another mirror: this one gives out one archive for another",
        )
    data = decompressed(map_file(path, "package list"), path.name, limit=_LARGEST)
    if hashlib.sha256(data).hexdigest() != told.digests.get(_LIST):
        raise RefusedError(f"{path.name}: not the list that Debian has signed", hint=_HINT)
    return data


def parse_release(text: str) -> Release:
    """What a Release file says; what it lacks is empty."""
    fields: dict[str, str] = {}
    digests: dict[str, str] = {}
    section = ""
    for line in text.split("\n"):
        if line.startswith(" "):
            if section == "SHA256" and (match := _DIGEST.fullmatch(line.rstrip())) is not None:
                digests.setdefault(match[2], match[1])
            continue
        section, _, value = line.partition(":")
        fields.setdefault(section, value.strip())
    return Release(fields.get("Origin", ""), fields.get("Codename", ""), digests)


def package_digests(data: memoryview | bytes, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and SHA-256 of each package of these names in a list; of one name there may be several versions.

    A package is a paragraph whose first field is its name.
    """
    if not names:
        return
    wanted = b"|".join(re.escape(name.encode()) for name in names)
    for match in re.finditer(rb"^Package: *(%b)[ \t]*$" % wanted, data, re.MULTILINE):
        paragraph = bytes(data[match.end() : match.end() + _LONGEST]).partition(b"\n\n")[0]
        digest = _SHA256.search(paragraph)
        if digest is not None:
            yield match[1].decode(), digest[1].decode()

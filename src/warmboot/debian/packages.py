"""One Debian suite seen through apt, with lists and downloads of its own in the cache folder.

apt does what it is good at (mirrors, proxies, retries), but from a private configuration: it neither reads nor
writes the system's lists, pins or installed packages, so any user may run it. Whether what it has brought is Debian's
is not its decision: see `lists`.
"""

from __future__ import annotations

import functools
import logging
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from warmboot.debian.cache import cache_folder, locked, make_folder, sha256_of, write_whole
from warmboot.debian.lists import package_digests, signed_lists
from warmboot.debian.mirrors import MIRROR_VARIABLE, system_mirrors
from warmboot.debian.signatures import KEYRING
from warmboot.debian.tools import complaint, run_tool
from warmboot.errors import InputError, RefusedError

__all__ = ["SUITES", "Suite", "compare_versions", "unpack"]

log: logging.Logger = logging.getLogger("warmboot.debian")

# The archives that make up a suite; the first one is needed, the others are taken if the mirror has them.
SUITES: Mapping[str, tuple[str, ...]] = {
    "bullseye": ("bullseye",),
    "bookworm": ("bookworm", "bookworm-updates", "bookworm-security"),
    "trixie": ("trixie", "trixie-updates", "trixie-security"),
    "sid": ("sid",),
}

# Hooks of the system's own configuration (they empty its package cache, or tell its desktop) are cleared. A
# mirror that stands still is as good as another: an old kernel is wanted here, and Debian's keys still count.
_CONFIGURATION = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Default-Release "";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State "{folder}";
Dir::State::Lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}";
Dir::Cache::archives "{folder}/archives";
Dir::Cache::pkgcache "{folder}/pkgcache.bin";
Dir::Cache::srcpkgcache "";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
"""


@dataclass(frozen=True, slots=True)
class _Download:
    """One line of `apt-get download --print-uris`: a package file that the lists know."""

    file: str
    sha256: str


class Suite:
    """A Debian suite by its codename, for amd64 whatever this computer is.

    Raises InputError if the name is none of `SUITES`.
    """

    def __init__(self, name: str, cache: Path | None = None) -> None:
        if name not in SUITES:
            raise InputError(f"{name!r} is not a suite that is used here", hint=f"one of: {', '.join(SUITES)}")
        self.name = name
        self.folder: Path = cache_folder(cache) / "apt" / name
        self.archives: Path = self.folder / "archives"
        self._ready = False
        self._fresh = False  # whether the lists were read by this object
        self._warning = ""  # what the last reading of the lists lacked
        self._signed: list[memoryview] | None = None  # the lists, once it is known that Debian has signed them

    def newest(self, *patterns: str) -> str:
        """The package whose whole name matches the regular expression, of the highest version.

        Of several patterns the first one counts that anything matches. Raises RefusedError if nothing does,
        even in lists that are fresh.
        """
        with self._prepared():
            found = self._highest(patterns)
            if found is None and not self._fresh:
                self._update()
                found = self._highest(patterns)
        if found is None:
            reason = f" ({self._warning})" if self._warning else ""
            raise RefusedError(
                f"{self.name}: no package is named like {' or '.join(patterns)}{reason}",
                hint=f"see what there is at this system's mirror, or set {MIRROR_VARIABLE} to another one",
            )
        return found

    def fetch(self, names: Sequence[str]) -> list[Path]:
        """The package files (.deb) of `names`, in that order, downloaded unless they are in the cache whole.

        Raises RefusedError if a package is unknown or cannot be downloaded.
        """
        with self._prepared():
            try:
                return self._fetch(names)
            except RefusedError:
                if self._fresh:
                    raise
            # The lists are older than the archive: it no longer has the version they name.
            self._update()
            return self._fetch(names)

    def with_dependencies(self, names: Sequence[str]) -> list[str]:
        """`names` and every package that they depend on, as apt would install them where nothing is installed.

        Raises RefusedError if there is no such set.
        """
        with self._prepared():
            done = self._apt("apt-get", "-s", "-y", "--no-install-recommends", "install", *names)
        found = re.findall(r"^Inst (\S+) ", done.stdout, re.MULTILINE)
        if done.returncode or not found:
            raise RefusedError(
                f"{self.name}: {_listing(names)} cannot be installed: {complaint(done)}",
                hint="a package of that name may have gone; `Suite.newest` finds one by a pattern",
            )
        return found

    def refresh(self) -> None:
        """Read the mirror's package lists again."""
        with self._prepared():
            if not self._fresh:
                self._update()

    # ---------------------------------------------------------------- below: only with the lock held

    @contextmanager
    def _prepared(self) -> Iterator[None]:
        """Hold the suite's lock, with its configuration written and its lists read."""
        with locked(self.folder / "lock"):
            if not self._ready:
                self._prepare()
            yield

    def _prepare(self) -> None:
        for folder in (self.archives / "partial", self.folder / "lists" / "partial"):
            make_folder(folder)
        sources = self._sources()
        written = self.folder / "sources.list"
        if not written.exists() or written.read_text() != sources:
            self._marker.unlink(missing_ok=True)
            write_whole(written, sources.encode())
        write_whole(self.folder / "apt.conf", _CONFIGURATION.format(folder=self.folder).encode())
        # Nothing is installed. Left alone from then on: a newer file makes apt parse all its lists again.
        if not (self.folder / "status").exists():
            write_whole(self.folder / "status", b"")
        if not self._marker.exists():
            self._update()
        self._ready = True

    def _sources(self) -> str:
        mirrors = system_mirrors()
        options = f"[arch=amd64 target=Packages signed-by={KEYRING}]"
        lines = (
            f"deb {options} {mirrors.security if archive.endswith('-security') else mirrors.main} {archive} main"
            for archive in SUITES[self.name]
        )
        return "\n".join([*lines, ""])

    @property
    def _marker(self) -> Path:
        """Exists when the lists were read to their end."""
        return self.folder / "updated"

    def _update(self) -> None:
        log.info("reading the package lists of %s", self.name)
        done = self._apt("apt-get", "update")
        self._fresh = True
        self._warning = "" if done.returncode == 0 else complaint(done)
        needed = f"*_dists_{SUITES[self.name][0]}_main_binary-amd64_Packages*"
        if done.returncode and not any((self.folder / "lists").glob(needed)):
            raise RefusedError(
                f"{self.name}: the package lists cannot be read: {self._warning}",
                hint="check the network and this system's package sources (as root: apt-get update), "
                f"or set {MIRROR_VARIABLE} to another mirror's address",
            )
        self._signed = None
        write_whole(self._marker, b"")

    def _highest(self, patterns: Sequence[str]) -> str | None:
        listed = self._apt("apt-cache", "pkgnames").stdout.split()
        order = functools.cmp_to_key(compare_versions)
        for pattern in patterns:
            if names := [name for name in listed if re.fullmatch(pattern, name)]:
                # A name that other packages only mention is listed too, and shown as nothing.
                shown = self._apt("apt-cache", "show", "--no-all-versions", *names).stdout
                versions = re.findall(r"^Package: (\S+)$.*?^Version: (\S+)$", shown, re.MULTILINE | re.DOTALL)
                if versions:
                    return str(max(versions, key=lambda row: (order(row[1]), row[0]))[0])
        return None

    def _fetch(self, names: Sequence[str]) -> list[Path]:
        downloads = self._locate(names)
        missing = [name for name in names if not self._has(downloads[name])]
        if missing:
            log.info("downloading %s of %s", _listing(missing), self.name)
            incoming = self.folder / "incoming"
            shutil.rmtree(incoming, ignore_errors=True)  # what a killed run left
            make_folder(incoming)
            done = self._apt("apt-get", "-q", "download", *missing, folder=incoming)
            for name in missing:
                wanted = downloads[name]
                if sha256_of(incoming / wanted.file) == wanted.sha256:
                    (incoming / wanted.file).replace(self.archives / wanted.file)
            shutil.rmtree(incoming, ignore_errors=True)
            failed = [name for name in missing if not (self.archives / downloads[name].file).exists()]
            if done.returncode or failed:
                raise RefusedError(
                    f"{self.name}: {_listing(failed or missing)} cannot be downloaded: {complaint(done)}",
                    hint="check the network and this system's package sources, then try again: "
                    "what has arrived is kept",
                )
        return [self.archives / downloads[name].file for name in names]

    def _has(self, wanted: _Download) -> bool:
        """Whether the file is in the cache as the lists describe it; one that differs is removed."""
        path = self.archives / wanted.file
        found = sha256_of(path)
        if found is not None and found != wanted.sha256:
            log.warning("%s is damaged: it is downloaded again", path.name)
            path.unlink()
        return found == wanted.sha256

    def _locate(self, names: Sequence[str]) -> dict[str, _Download]:
        done = self._apt("apt-get", "download", "--print-uris", *names)
        lines = re.findall(r"^'[^']+' (\S+) \d+ SHA256:([0-9a-f]{64})$", done.stdout, re.MULTILINE)
        located = {file.partition("_")[0]: _Download(file, digest) for file, digest in lines}
        signed = self._digests(names)
        for name, each in located.items():
            if (name, each.sha256) not in signed:
                raise RefusedError(
                    f"{self.name}: {each.file} is in no list that Debian has signed",
                    hint=f"use another mirror, by {MIRROR_VARIABLE} or in this system's package sources",
                )
        if absent := [name for name in names if name not in located]:
            raise RefusedError(
                f"{self.name}: {_listing(absent)} cannot be found: {complaint(done)}",
                hint="a package of that name may have gone; `Suite.newest` finds one by a pattern",
            )
        return located

    def _digests(self, names: Sequence[str]) -> set[tuple[str, str]]:
        """Names and SHA-256 of package files, as Debian has signed them."""
        if self._signed is None:
            self._signed = signed_lists(self.folder / "lists", SUITES[self.name])
        return {each for data in self._signed for each in package_digests(data, names)}

    def _apt(self, tool: str, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        return run_tool([tool, "-c", str(self.folder / "apt.conf"), *arguments], folder=folder or self.folder)


def unpack(deb: Path, folder: Path) -> None:
    """Unpack the files of the package file `deb` into `folder`, which is made.

    Raises InputError if `deb` is not a package file or is damaged.
    """
    done = run_tool(["dpkg-deb", "--extract", str(deb), str(make_folder(folder))])
    if done.returncode:
        raise InputError(
            f"{deb}: cannot be unpacked: {complaint(done)}",
            hint="remove the file: it is downloaded again when it is next needed",
        )


def compare_versions(one: str, other: str) -> int:
    """Negative, 0 or positive as version `one` is older than, the same as or newer than `other`.

    dpkg decides: its order knows epochs, and that 1.0~rc1 comes before 1.0.
    """
    if one == other:
        return 0
    return -1 if run_tool(["dpkg", "--compare-versions", one, "lt", other]).returncode == 0 else 1


def _listing(names: Sequence[str], limit: int = 3) -> str:
    """`names` for a message: the first ones, and how many more."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")

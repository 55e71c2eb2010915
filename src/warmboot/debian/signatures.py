"""Whether Debian has signed something: asked of gpgv with Debian's own keys, whatever apt was told to accept.

gpgv(1) prints its findings on the status channel, as doc/DETAILS of GnuPG describes them. What it has verified is what
it writes out itself: text before or after the signed part of a file is not.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from warmboot.errors import MissingToolError, RefusedError
from warmboot.programs import clean_environment, find_program

__all__ = ["KEYRING", "is_signed", "signed_text"]

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_STRONG = {"8", "9", "10", "11"}  # SHA-256, 384, 512, 224 (RFC 4880, 9.4): not MD5, SHA-1 or RIPE-MD
_STATUS = "[GNUPG:] "
_LARGEST = 16 << 20  # bytes of a Release file; bookworm's has 150 KiB


def signed_text(release: Path, signature: Path | None = None, *, keyring: Path = KEYRING) -> bytes:
    """What of the file `release` is signed by one of the keys in `keyring`: an InRelease file, or a Release file
    with its detached `signature`.

    Raises RefusedError where no key of it has, MissingToolError where gpgv or the keyring is not installed.
    """
    data = _read(release)
    with_signature = [str(signature)] if signature is not None else []
    # Without a detached signature gpgv writes what was signed; with one it is the file as a whole.
    command = ["--status-fd", "2", *(["--output", "-"] if signature is None else []), *with_signature, "-"]
    done = _gpgv(command, data, keyring)
    if not is_signed(done.stderr.decode("utf-8", "replace")):
        raise RefusedError(
            f"{release.name}: not signed by Debian's keys",
            hint="the mirror does not carry Debian's own archive, or the keys are too old: as root, "
            "apt-get install debian-archive-keyring",
        )
    return done.stdout if signature is None else data


def is_signed(status: str) -> bool:
    """Whether gpgv's status lines tell of a good signature by a strong digest, and of no bad one."""
    good = signed = False
    for line in status.split("\n"):
        if not line.startswith(_STATUS):
            continue
        word, *rest = line.removeprefix(_STATUS).split(" ")
        match word:
            case "NEWSIG" | "EXPSIG" | "EXPKEYSIG" | "REVKEYSIG" | "ERRSIG":
                good = False
            case "GOODSIG":
                good = True
            case "VALIDSIG":
                signed |= good and len(rest) >= 8 and rest[7] in _STRONG
                good = False
            case "BADSIG":
                return False
    return signed


def _gpgv(arguments: list[str], data: bytes, keyring: Path) -> subprocess.CompletedProcess[bytes]:
    program = find_program("gpgv")
    if program is None or not keyring.exists():
        missing, package = ("gpgv", "gpgv") if program is None else (str(keyring), "debian-archive-keyring")
        raise MissingToolError(
            f"{missing} is missing: nothing can say that a package is Debian's",
            hint=f"as root: apt-get install {package}",
        )
    command = [program, "--keyring", str(keyring), *arguments]
    return subprocess.run(command, input=data, env=clean_environment(), capture_output=True, check=False)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise RefusedError(
            f"{path}: cannot be read: {error.strerror}", hint="remove the file: it is read from the mirror again"
        ) from None
    if len(data) > _LARGEST:
        raise RefusedError(f"{path}: more than {_LARGEST} bytes", hint="remove the file, or use another mirror")
    return data

"""The list of what is handed over: a memfd in the index session, written by one warmboot and read by the next.

Lines of text, as the reader is in a service's way while it starts: `file UID SIZE NAME` in the order of the tokens of
their sessions, under `session NAME`. What the kernel before left is a stranger's: every line is checked.
"""

from __future__ import annotations

import os

from warmboot.liveupdate.wire import is_name
from warmboot.numbers import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from warmboot.switching.held import Entry

__all__ = [
    "INDEX",
    "JOURNAL_TOKEN",
    "LARGEST",
    "MANIFEST_TOKEN",
    "Listed",
    "Manifest",
    "ManifestError",
    "parse",
    "read_text",
    "session_name",
    "text_of",
]

INDEX = "warmboot"  # the session's name
MANIFEST_TOKEN, JOURNAL_TOKEN = 0, 1
LARGEST = 1 << 16  # bytes
_FIRST = "warmboot live update 1"
_MOST = 256


class ManifestError(Exception):
    """The list cannot be read; the message says why."""


class Listed:
    """A file that was handed over: `token` in `session`; its `size` in bytes."""

    __slots__ = ("name", "session", "size", "token", "uid")

    def __init__(self, session: str, token: int, uid: int, size: int, name: str) -> None:
        self.session: str = session
        self.token: int = token
        self.uid: int = uid
        self.size: int = size
        self.name: str = name


class Manifest:
    """What is handed over by the switch `id`, from the kernel `release`."""

    __slots__ = ("files", "id", "release")

    def __init__(self, id: str, release: str, files: Sequence[Listed]) -> None:  # noqa: A002 - its name everywhere
        self.id: str = id
        self.release: str = release
        self.files: Sequence[Listed] = files


def session_name(service: str) -> str:
    """The name of a service's session."""
    return f"{INDEX}/{service}"


def text_of(id: str, release: str, sessions: dict[str, list[Entry]]) -> bytes:  # noqa: A002
    """The list of `sessions`, files by session name, in the order of their tokens, which count from 0."""
    lines = [_FIRST, f"id {id}", f"from {release}"]
    for session, entries in sessions.items():
        lines.append(f"session {session}")
        lines += [f"file {each.uid} {each.size} {each.name}" for each in entries]
    return "\n".join([*lines, ""]).encode()


def parse(text: str) -> Manifest:
    """The list that `text` is. Raises ManifestError."""
    first, *lines = text.split("\n")
    if first != _FIRST:
        raise ManifestError(f"its list of files does not begin with '{_FIRST}': another version made it")
    known = {"id": "", "from": ""}
    session, token = "", 0
    files: list[Listed] = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word in known:
            known[word] = rest[:64]
        elif word == "session" and rest.startswith(f"{INDEX}/"):
            session, token = rest, 0
        elif word == "file":
            files.append(_listed(session, token, rest))
            token += 1
            if len(files) > _MOST:
                raise ManifestError(f"its list has more than {_MOST} files")
        elif line:
            raise ManifestError("its list of files is damaged")
    return Manifest(known["id"], known["from"], files)


def _listed(session: str, token: int, text: str) -> Listed:
    uid, _, rest = text.partition(" ")
    size, _, name = rest.partition(" ")
    uid_number, size_number = number(uid, most=(1 << 32) - 1), number(size, most=(1 << 63) - 1)
    if uid_number is None or size_number is None or not is_name(name) or not session:
        raise ManifestError("its list of files is damaged")
    return Listed(session, token, uid_number, size_number, name)


def read_text(fd: int) -> str:
    """The text in a memfd, up to a zero byte and at most 64 KiB. Raises OSError."""
    return os.pread(fd, LARGEST, 0).partition(b"\0")[0].decode("utf-8", "replace")

"""Contents of files that calls refer to by SHA-256: kept once in a trace, or beside it."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from warmboot.errors import InputError
from warmboot.oracle.calls.file_trace import LONGEST_FILE
from warmboot.oracle.calls.members import WrongLine, only, shown, text
from warmboot.visible import visible

__all__ = ["KEPT_IN_TRACE", "Contents", "content_members", "is_sha256"]

KEPT_IN_TRACE = 1 << 20  # bytes, packed: a line of a trace has at most 4 MiB
_MOST, _MOST_BYTES = 64, 256 << 20  # contents of a trace, and bytes of all
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def is_sha256(value: str) -> bool:
    """Whether it looks like one, in small letters."""
    return _SHA256.fullmatch(value) is not None


class Contents:
    """What is known by its digest. `beside` is a folder with files that are called by theirs."""

    def __init__(self, beside: Path | None = None) -> None:
        self._beside = beside
        self._kept: dict[str, bytes] = {}

    def add(self, data: bytes) -> str:
        """Keep these bytes; their SHA-256."""
        digest = hashlib.sha256(data).hexdigest()
        self._kept[digest] = data
        return digest

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, sha256: str) -> bytes:
        """The bytes. Raises InputError where they are neither here nor beside, or not what they are called."""
        found = self._kept.get(sha256)
        if found is None:
            found = self._kept[sha256] = self._read(sha256)
        return found

    def _read(self, sha256: str) -> bytes:
        assert is_sha256(sha256), "it becomes a file's name"
        where = "the trace" if self._beside is None else f"the trace and {visible(str(self._beside))}"
        try:
            if self._beside is None:
                raise FileNotFoundError
            with (self._beside / sha256).open("rb") as file:
                data = file.read(LONGEST_FILE + 1)
        except OSError:
            raise InputError(
                f"content {sha256}: not in {where}", hint="--contents FOLDER names where files lie by their SHA-256"
            ) from None
        if len(data) > LONGEST_FILE or hashlib.sha256(data).hexdigest() != sha256:
            raise InputError(f"content {sha256}: the file of that name has other bytes", hint="copy it again")
        return data

    def read_row(self, members: Mapping[str, Any]) -> None:
        """A trace's line that keeps one: `content` is its SHA-256, `zlib` its bytes, packed, in base64.

        Raises WrongLine.
        """
        only(members, frozenset({"content", "zlib"}))
        sha256, packed = text(members, "content"), text(members, "zlib")
        if not is_sha256(sha256):
            raise WrongLine(f'"content" is {shown(sha256)}, not a SHA-256 in small letters')
        if len(self._kept) >= _MOST:
            raise WrongLine(f"more than {_MOST} contents")
        data = _unpacked(packed)
        if sum(map(len, self._kept.values())) + len(data) > _MOST_BYTES:
            raise WrongLine(f"contents of more than {_MOST_BYTES} bytes")
        if self.add(data) != sha256:
            del self._kept[hashlib.sha256(data).hexdigest()]
            raise WrongLine("the bytes have another SHA-256 than they are called by")


def content_members(data: bytes) -> dict[str, str]:
    """The line that keeps these bytes in a trace."""
    packed = base64.b64encode(zlib.compress(data, 9)).decode()
    return {"content": hashlib.sha256(data).hexdigest(), "zlib": packed}


def _unpacked(packed: str) -> bytes:
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode(packed, validate=True), LONGEST_FILE + 1)
    except (ValueError, zlib.error) as error:
        raise WrongLine(f'"zlib": {visible(str(error), most=60)}') from None
    if len(data) > LONGEST_FILE:
        raise WrongLine(f'"zlib" unpacks to more than {LONGEST_FILE} bytes')
    if not unpacker.eof or unpacker.unused_data:
        raise WrongLine('"zlib" is not one whole stream')
    return data

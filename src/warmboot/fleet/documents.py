"""Facts of many machines out of files, folders and streams, one after the other, in bounded memory.

A file holds one machine as `warmboot facts` prints it, several such one after the other, or JSON Lines.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from warmboot.fleet.answers import Document, Problem
from warmboot.visible import visible

__all__ = ["MOST_BYTES", "chunks", "documents"]

MOST_BYTES = 8 << 20  # of one machine's facts: a thousand processors and nodes take a tenth of that
_MARK = b"\xef\xbb\xbf"  # the byte order mark that some editors put before UTF-8
_SUFFIXES = (".json", ".jsonl", ".ndjson")
_DEEPEST = 64  # folders in one another
_MOST_CHUNKS = 64  # times MOST_BYTES of a line are passed over
_CHUNK, _CHUNK_BYTES = 128, 1 << 20  # machines and bytes that a worker gets at once
_HINT = "give what 'warmboot facts' prints: one JSON object a machine, or one a line"


def documents(paths: Iterable[str]) -> Iterator[Document | Problem]:
    """What is in the files and folders, `-` for standard input; what cannot be read is a Problem."""
    for path in paths:
        if path == "-":
            yield from _machines(sys.stdin.buffer, "standard input", "stdin")
        elif Path(path).is_dir():
            yield from _folder(Path(path))
        else:
            yield from _file(Path(path))


def chunks(found: Iterable[Document | Problem]) -> Iterator[list[Document | Problem]]:
    """The same in lists that are worth a worker's while."""
    chunk: list[Document | Problem] = []
    size = 0
    for each in found:
        chunk.append(each)
        size += len(each.text) if isinstance(each, Document) else 0
        if len(chunk) >= _CHUNK or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _folder(path: Path, depth: int = 0) -> Iterator[Document | Problem]:
    found = False
    try:
        for name in sorted(os.listdir(path)):  # noqa: PTH208 - names take a tenth of what paths do
            each = path / name
            mode = each.stat().st_mode if each.exists() else stat.S_IFREG  # of a link to nothing it is said below
            if stat.S_ISDIR(mode) and not each.is_symlink():
                if depth >= _DEEPEST:
                    yield Problem(str(each), f"more than {_DEEPEST} folders in one another", _HINT)
                    found = True
                elif any(True for _ in each.iterdir()):
                    yield from _folder(each, depth + 1)
                    found = True
            elif each.suffix in _SUFFIXES:
                if stat.S_ISREG(mode):
                    yield from _file(each)
                else:
                    yield Problem(str(each), "a folder, a device or a pipe, and no file", _HINT)
                found = True
    except OSError as error:
        yield Problem(str(path), f"cannot be read: {error.strerror}", "check the path and its permissions")
        return
    if not found:
        yield Problem(str(path), f"no file that ends with {', '.join(_SUFFIXES)}", _HINT)


def _file(path: Path) -> Iterator[Document | Problem]:
    try:
        with path.open("rb") as file:
            yield from _machines(file, str(path), path.stem)
    except OSError as error:
        yield Problem(str(path), f"cannot be read: {error.strerror}", "check the path and its permissions")


def _machines(file: BinaryIO, source: str, stem: str) -> Iterator[Document | Problem]:
    """One line that is not indented begins a machine; one that opens an object and no more is its first of many."""
    lines = _lines(file)
    first = True
    for number, whole_line in lines:
        line = whole_line.removeprefix(_MARK) if number == 1 else whole_line
        text = line.strip()
        if not text:
            continue
        if first and text[:1] != b"{":
            shown = visible(text[:60].decode("utf-8", "replace"), most=40)
            yield Problem(f"{source}:{number}", f"'{shown}' is no JSON object", _HINT)
            return
        where = f"{source}:{number}"
        if len(line) > MOST_BYTES:
            yield Problem(where, f"more than {MOST_BYTES} bytes in one line", _HINT)
            continue
        if text == b"{":
            whole = _indented(lines, line)
            if whole is None:
                yield Problem(where, f"an object that does not end within {MOST_BYTES} bytes or with the file", _HINT)
                return
            text = whole
        yield Document(source if first and number == 1 else where, stem if first else f"{stem}:{number}", text)
        first = False
    if first:
        yield Problem(source, "nothing is in it", _HINT)


def _indented(lines: Iterator[tuple[int, bytes]], first: bytes) -> bytes | None:
    """An object over several lines, up to the one that closes it at the margin; None where there is none."""
    kept, size = [first], len(first)
    for _, line in lines:
        kept.append(line)
        size += len(line)
        if size > MOST_BYTES:
            return None
        if line.rstrip() == b"}":
            return b"".join(kept)
    return None


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers; of one that is too long only so much as shows that it is, and of one that has no end,
    such as /dev/zero's, nothing after it."""
    number = 0
    while line := file.readline(MOST_BYTES + 1):
        number += 1
        whole, chunks = line, 0
        while len(line) > MOST_BYTES and not line.endswith(b"\n") and chunks < _MOST_CHUNKS:
            line, chunks = file.readline(MOST_BYTES + 1), chunks + 1
        yield number, whole
        if chunks == _MOST_CHUNKS:
            return

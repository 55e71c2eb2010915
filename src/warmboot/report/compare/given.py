"""A report from a file: what --json printed, or a page that --html wrote, which has the same and the console."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warmboot.errors import InputError
from warmboot.memmap.facts_json import json_object
from warmboot.visible import visible

__all__ = ["Given", "read_report"]

_MOST = 16 << 20  # bytes of a file
_MOST_VALUES = 500_000  # of which each takes up to a hundred bytes of memory
_MOST_LINES = 20_000  # of a console: pages have fewer
_PRE = re.compile(rb"<pre\b([^<>]{0,400})>", re.IGNORECASE)
_LABEL = re.compile(rb"""aria-labelledby=["']?([a-z-]{1,40})""")
_TAG = re.compile(rb"<[^<>]{0,400}>")
_SCHEMA = re.compile(r"urn:warmboot:([a-z-]{1,40}):\d{1,3}")
_HINT = "give what a warmboot command printed with --json, or the page it wrote with --html"


@dataclass(frozen=True, slots=True)
class Given:
    """A report: the file's name, the schema's ("rehearse"), the members of the JSON; lines of the console, and the
    machine's facts, which pages alone have."""

    file: str
    schema: str
    members: Mapping[str, Any]
    console: tuple[str, ...] | None = None
    facts: Mapping[str, Any] | None = None


def read_report(path: Path) -> Given:
    """Read one. Raises InputError for anything else."""
    name = visible(str(path))
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
    except OSError as error:
        raise InputError(f"{name}: {error.strerror}", hint=_HINT) from None
    if len(data) > _MOST:
        raise InputError(f"{name}: more than {_MOST >> 20} MiB, which no report has", hint=_HINT)
    console = facts = None
    if data.lstrip()[:1] == b"<":
        texts = _texts(data)
        if "json" not in texts:
            raise InputError(f"{name}: no page of warmboot", hint=_HINT)
        data = texts["json"].encode()
        lines = texts.get("console", texts.get("log"))
        console = None if lines is None else _lines(lines, name)
        if "facts" in texts:
            facts = _object(texts["facts"].encode(), name)
    members = _object(data, name)
    schema = members.get("schema")
    found = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
    if found is None:
        raise InputError(f"{name}: JSON, but no report of warmboot: it has no schema of ours", hint=_HINT)
    return Given(path.name, found[1], members, console, facts)


def _object(data: bytes, name: str) -> Mapping[str, Any]:
    if sum(map(data.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise InputError(f"{name}: more than {_MOST_VALUES:,} values, which no report has", hint=_HINT)
    try:
        return json_object(data, name)
    except InputError as error:
        raise InputError(str(error), hint=_HINT) from None
    except (ValueError, RecursionError):
        raise InputError(f"{name}: no JSON that can be read", hint=_HINT) from None


def _lines(text: str, name: str) -> tuple[str, ...]:
    if text.count("\n") > _MOST_LINES:
        raise InputError(f"{name}: a console of more than {_MOST_LINES:,} lines", hint=_HINT)
    return tuple(text.split("\n"))


def _texts(page: bytes) -> dict[str, str]:
    """The texts that a page has for a reader of programs, by the names of what labels them."""
    found: dict[str, str] = {}
    at = 0
    while (opened := _PRE.search(page, at)) is not None:
        at = page.find(b"</pre>", opened.end())
        if at < 0:
            break
        if label := _LABEL.search(opened[1]):
            text = html.unescape(_TAG.sub(b"", page[opened.end() : at]).decode("utf-8", "replace"))
            found.setdefault(label[1].decode(), text.removeprefix("\n"))
    return found

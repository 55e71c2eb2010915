"""Values of ours as values that JSON has."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from warmboot.memmap import Range

__all__ = ["json_value"]


def json_value(value: object) -> Any:  # noqa: ANN401 - JSON has no type
    """Dataclasses become objects, ranges [start, end], sequences lists; bytes that are no text become \\xNN."""
    match value:
        case str() if not value.isascii():
            return _encodable(value)
        case Range():
            return [value.start, value.end]
        case Enum():
            return value.value
        case Path():
            return str(value)
        case dict():
            return {str(name): json_value(each) for name, each in value.items()}
        case list() | tuple():
            return [json_value(each) for each in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {each.name: json_value(getattr(value, each.name)) for each in fields(value)}
        case _:
            return value


def _encodable(text: str) -> str:
    """Without lone surrogates, which many readers of JSON refuse: Python keeps undecodable bytes so (PEP 383)."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode("utf-8")

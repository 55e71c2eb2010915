"""Values as JSON has them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.memmap import Range
from warmboot.report.json.values import json_value


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    where: Range
    names: tuple[str, ...]
    colour: Colour = Colour.RED


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Point(Range(1, 3), ("a",)), {"where": [1, 3], "names": ["a"], "colour": "red"}),
        ({1: Path("/a")}, {"1": "/a"}),
        ([True, None, 1.5, 2**64], [True, None, 1.5, 2**64]),
        ("caf\u00e9", "caf\u00e9"),
        ("a\udcff\u00e9", "a\\xff\u00e9"),  # a file's name with a byte that is no UTF-8
        ("\ud800", "\\ud800"),
    ],
)
def test_values(value: object, expected: object) -> None:
    assert json_value(value) == expected


@given(st.text(st.characters(), max_size=20))
def test_every_text_can_be_encoded(text: str) -> None:
    found = json_value(text)
    assert json.loads(json.dumps(found).encode()) == found
    found.encode("utf-8")

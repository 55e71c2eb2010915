"""Text from outside cannot steer a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("müßig 日本", "müßig 日本"),
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("\x9b31mred", "\\x9b31mred"),
        ("two\nlines\r", "two\\x0alines\\x0d"),
        ("\udcff.img", "\\xff.img"),
        ("\ud800", "\\ud800"),
        ("a\u202eb\u2028", "a\\u202eb\\u2028"),
        ("\t", "\\x09"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_long_text_is_cut() -> None:
    assert visible("x" * 100, most=10) == "x" * 10 + "..."
    assert visible("x" * 10, most=10) == "x" * 10
    assert visible("a\tb", keep_tab=True) == "a\tb"


@given(st.text())
def test_nothing_shown_is_a_control_character_or_cannot_be_encoded(text: str) -> None:
    shown = visible(text)
    shown.encode()
    assert not any(ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0 for each in shown)

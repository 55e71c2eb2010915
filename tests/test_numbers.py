"""Numbers from outside are bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.numbers import number


@pytest.mark.parametrize(
    ("text", "base", "value"),
    [
        ("0", 10, 0),
        ("18446744073709551615", 10, (1 << 64) - 1),
        ("18446744073709551616", 10, None),
        ("-1", 10, None),
        ("0x10", 16, 16),
        ("ff", 16, 255),
        ("0x10", 10, None),
        ("0x10", 0, 16),
        ("010", 0, 8),
        ("0", 0, 0),
        ("9" * 4301, 10, None),
        ("1_000", 10, None),
        (" 1", 10, None),
        ("1\n", 10, None),
        ("", 10, None),
        ("٣", 10, None),
        ("- 1", 10, None),
    ],
)
def test_what_is_a_number(text: str, base: int, value: int | None) -> None:
    assert number(text, base) == value


def test_limits() -> None:
    assert number("-1", least=-1) == -1
    assert number("8192", most=8191) is None


@given(st.text() | st.integers().map(str), st.sampled_from([0, 10, 16]))
def test_never_an_error(text: str, base: int) -> None:
    value = number(text, base)
    assert value is None or 0 <= value < 1 << 64

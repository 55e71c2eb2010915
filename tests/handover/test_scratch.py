"""kho_scratch= as Linux reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.errors import InputError
from warmboot.handover.scratch import Scratch, parse_scratch, scratch_of_line, scratch_word

MIB = 1 << 20


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("50%", Scratch(50)),
        ("0%", Scratch(0)),
        ("4294967295%", Scratch(0xFFFF_FFFF)),
        ("64M,512M,256M", Scratch(0, 64 * MIB, 512 * MIB, 256 * MIB)),
        ("0x4000000,0,0", Scratch(0, 64 * MIB)),
        ("1G,0,0", Scratch(0, 1 << 30)),
    ],
)
def test_what_is_asked_for(text: str, asked: Scratch) -> None:
    assert parse_scratch(text) == asked


@pytest.mark.parametrize("text", ["", "%", "-5%", "5.5%", "4294967296%", "64M", "64M,1M", "0,0,0", "1,2,3,4", "a,b,c"])
def test_what_linux_does_not_take(text: str) -> None:
    with pytest.raises(InputError, match="kho_scratch="):
        parse_scratch(text)


def test_the_last_that_can_be_read_counts() -> None:
    assert scratch_of_line("kho=on") == (Scratch(), None)
    assert scratch_of_line("kho_scratch=50% kho_scratch=?") == (Scratch(50), "kho_scratch=50%")


@given(*[st.integers(0, 1 << 20)] * 3)
def test_a_word_is_read_as_it_was_written(lowmem: int, anywhere: int, pernode: int) -> None:
    word = scratch_word(lowmem << 20, anywhere << 20, pernode << 20)
    if lowmem or anywhere or pernode:
        asked = parse_scratch(word.removeprefix("kho_scratch="))
        assert asked == Scratch(0, lowmem << 20, anywhere << 20, pernode << 20)

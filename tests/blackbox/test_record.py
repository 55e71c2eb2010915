"""The page of the black box: packed and parsed, and any page at all parsed without a traceback."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.blackbox.record import (
    BOX_SIZE,
    TEMPLATE_SIZE,
    BoxSegment,
    Stage,
    Template,
    fresh_box,
    pack_mark,
    pack_template,
    parse,
)

u64 = st.integers(0, 2**64 - 1)
u32 = st.integers(0, 2**32 - 1)
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)
TEMPLATE = Template(load_id=bytes(range(16)), running="6.1.0-49-amd64", loaded="6.12.117", risks=("no_console",))


@st.composite
def templates(draw: st.DrawFn) -> Template:
    return Template(
        load_id=draw(st.binary(min_size=16, max_size=16)),
        loaded_at=draw(u64),
        tsc=draw(u64),
        tsc_khz=draw(u32),
        crash=draw(st.booleans()),
        entry=draw(u64),
        purgatory=draw(u64),
        running=draw(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=64)),
        loaded=draw(names),
        boot_id=draw(st.binary(min_size=16, max_size=16)),
        segments=tuple(draw(st.lists(st.builds(BoxSegment, u64, st.integers(1, 2**64 - 1), names), max_size=16))),
        risks=tuple(draw(st.lists(names, max_size=20))),
    )


@given(templates())
def test_what_is_packed_is_parsed(template: Template) -> None:
    packed = pack_template(template)
    assert len(packed) == TEMPLATE_SIZE
    box = parse(fresh_box(packed))
    assert box is not None
    assert box.template == template
    assert (box.verified, box.stage, box.exception, box.differs, box.printed) == (
        True,
        Stage.LOADED,
        None,
        False,
        False,
    )


def test_the_layout_is_the_published_one() -> None:
    page = fresh_box(pack_template(replace(TEMPLATE, tsc=1, tsc_khz=2, entry=3, purgatory=4, crash=True)), tsc=77)
    assert page[:0x20] == b"WBBLACK1" + struct.pack("<II", 1, 0x400) + bytes(range(16))
    assert struct.unpack_from("<QIIQQ", page, 0x28) == (1, 2, 1, 3, 4)
    assert page[0x48:].startswith(b"6.1.0-49-amd64\0")
    assert page[0x88:].startswith(b"6.12.117\0")
    assert page[0x258:].startswith(b"no_console\0")
    assert struct.unpack_from("<IIQQ", page, 0x400) == (1, 0xFFFF_FFFE, 0, 77)
    assert page[0x800:0x808] == b"\0\x0f\0\0\0\x60\0\0"
    assert len(page) == BOX_SIZE


def test_risks_that_find_no_room_are_left_out_whole() -> None:
    box = parse(fresh_box(pack_template(replace(TEMPLATE, risks=("r" * 200, "s" * 200, "t" * 50, "u")))))
    assert box is not None
    assert box.template.risks == ("r" * 200, "s" * 200)


def test_what_cannot_be_packed() -> None:
    with pytest.raises(ValueError, match="17 segments"):
        pack_template(replace(TEMPLATE, segments=(BoxSegment(0, 1, "kernel"),) * 17))
    with pytest.raises(ValueError, match="16 bytes each"):
        pack_template(replace(TEMPLATE, load_id=b""))


@given(st.binary(max_size=0x600), st.integers(0, 0x5F0))
def test_any_page_is_parsed(noise: bytes, at: int) -> None:
    page = bytearray(fresh_box(pack_template(TEMPLATE)))
    page[at : at + len(noise)] = noise
    parse(bytes(page[:BOX_SIZE]))
    assert parse(noise) is None


@given(st.integers(0, TEMPLATE_SIZE * 8 - 1))
def test_a_template_with_a_wrong_bit_is_no_box(bit: int) -> None:
    page = bytearray(fresh_box(pack_template(TEMPLATE)))
    page[bit // 8] ^= 1 << bit % 8
    assert parse(bytes(page)) is None


@given(st.sampled_from(Stage), u64, st.integers(0, 63))
def test_a_mark_counts_only_whole(stage: Stage, tsc: int, bit: int) -> None:
    page = bytearray(fresh_box(pack_template(TEMPLATE)))
    for offset, data in pack_mark(stage, tsc):
        page[offset : offset + len(data)] = data
    box = parse(bytes(page))
    assert box is not None
    assert box.stage is stage
    assert box.tsc.get(stage, 0) == tsc
    page[0x400 + bit // 8] ^= 1 << bit % 8
    torn = parse(bytes(page))
    assert torn is not None
    assert torn.stage is None


def test_without_the_library_a_box_is_read_unverified(monkeypatch: pytest.MonkeyPatch) -> None:
    page = fresh_box(pack_template(TEMPLATE))
    monkeypatch.setitem(__import__("sys").modules, "xxhash", None)
    box = parse(page)
    assert box is not None
    assert (box.template, box.verified) == (TEMPLATE, False)
    unchecked = parse(fresh_box(pack_template(TEMPLATE)))
    assert unchecked is not None
    assert unchecked.template == TEMPLATE


def test_an_early_console_is_seen_though_it_is_quiet() -> None:
    """Linux clears the interrupt enable register as it sets one up, and prints nothing with `quiet`."""
    page = bytearray(fresh_box(pack_template(Template(load_id=bytes(16))), Stage.ENTERING))
    found = parse(bytes(page))
    assert found is not None
    assert not found.printed
    page[0x801] = 0
    quiet = parse(bytes(page))
    assert quiet is not None
    assert quiet.printed
    assert quiet.first_words == 0

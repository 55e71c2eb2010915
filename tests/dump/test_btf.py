"""BTF: beside what the same kernels say of themselves in VMCOREINFO; made up ones; damaged ones."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.vmcores import vmcore
from warmboot.dump.btf import Btf
from warmboot.dump.btf_types import Kind
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.interface import DumpError
from warmboot.dump.kallsyms import read_kallsyms
from warmboot.dump.kernel_btf import read_btf

# What VMCOREINFO calls otherwise than the source does.
_OTHERWISE = {"pglist_data.node_zones", "printk_info_subsystem", "printk_info_device"}


@pytest.mark.needs_qemu
@pytest.mark.parametrize("series", ["5.10", "6.1", "6.12", "7.2"])
def test_what_the_kernel_says_of_itself(series: str) -> None:
    """Every SIZE, OFFSET and LENGTH of VMCOREINFO, by the types that lie in the same dump."""
    memory = ElfCore(vmcore(series))
    btf = read_btf(memory, read_kallsyms(memory))
    seen = 0
    for line, value in memory.vmcoreinfo.lines.items():
        match re.split(r"[().]", line)[:-1]:
            case ["OFFSET", name, member]:
                assert btf.struct(name).offset(member) == int(value), line
            case ["SIZE", name] if (found := btf.find_struct(name)) is not None:
                assert found.size == int(value), line
            case ["LENGTH", name, member]:
                assert btf.struct(name).member(member).type.count == int(value), line
            case _:
                continue
        seen += 1
    assert seen > 50
    assert btf.enumerator("NR_FREE_PAGES") == memory.vmcoreinfo.number("NR_FREE_PAGES")
    assert btf.enum("pageflags")["PG_lru"] == memory.vmcoreinfo.number("PG_lru")
    assert btf.find_struct("no_such_struct") is None


Row = tuple[str, int, int, Sequence[tuple[int | str, ...]]]


def made(types: Sequence[Row], order: str = "<") -> bytes:
    """BTF of types: name, kind and vlen as info, size or type, and what follows, words or names."""
    strings = bytearray(b"\0")

    def word(value: int | str) -> int:
        if isinstance(value, int):
            return value
        if not value:
            return 0
        strings.extend(value.encode() + b"\0")
        return len(strings) - len(value.encode()) - 1

    body = b"".join(
        struct.pack(
            f"{order}{3 + sum(map(len, rest))}I", word(name), info, size, *(word(x) for row in rest for x in row)
        )
        for name, info, size, rest in types
    )
    head = struct.pack(f"{order}HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(strings))
    return head + body + bytes(strings)


def info(kind: Kind, vlen: int = 0, flag: bool = False) -> int:
    return kind << 24 | vlen | flag << 31


SMALL: list[Row] = [
    ("int", info(Kind.INT), 4, [(1 << 24 | 32,)]),
    ("", info(Kind.UNION, 2), 4, [("a", 1, 0), ("b", 1, 0)]),
    ("inner", info(Kind.STRUCT, 2), 8, [("x", 1, 0), ("", 2, 32)]),
    ("outer", info(Kind.STRUCT, 4), 40, [("first", 1, 0), ("", 3, 64), ("named", 6, 128), ("list", 5, 192)]),
    ("", info(Kind.ARRAY), 0, [(1, 1, 3)]),
    ("name_t", info(Kind.TYPEDEF), 3, []),
    ("bits", info(Kind.STRUCT, 2, flag=True), 4, [("low", 1, 3 << 24), ("high", 1, 5 << 24 | 3)]),
    ("colour", info(Kind.ENUM, 2), 4, [("RED", 1), ("NONE", 0xFFFFFFFF)]),
    ("", info(Kind.ENUM64, 1), 8, [("WIDE", 1, 1)]),
    ("old_bits", info(Kind.STRUCT, 1), 4, [("only", 11, 0)]),
    ("uint3", info(Kind.INT), 4, [(3 | 2 << 16,)]),
]


@pytest.mark.parametrize("order", ["<", ">"])
def test_members_of_anonymous_structures_have_the_whole_offset(order: str) -> None:
    btf = Btf(made(SMALL, order))
    outer = btf.struct("outer")
    assert {name: each.offset for name, each in outer.members.items()} == {
        "first": 0,
        "x": 8,
        "a": 12,
        "b": 12,
        "named": 16,
        "list": 24,
    }
    assert outer.offset("named.b") == 20
    assert "named.c" not in outer
    assert "first.x" not in outer
    assert (outer.member("list").type.count, outer.member("list").type.size) == (3, 12)
    with pytest.raises(DumpError, match="struct outer has no member nothing"):
        outer.member("nothing")


def test_bit_fields_and_enumerations() -> None:
    btf = Btf(made(SMALL))
    bits = btf.struct("bits")
    assert [(each.bit_offset, each.bit_size) for each in bits.members.values()] == [(0, 3), (3, 5)]
    old = btf.struct("old_bits").member("only")  # before kind_flag: the number's own bits
    assert (old.bit_offset, old.bit_size) == (2, 3)
    assert btf.enum("colour") == {"RED": 1, "NONE": -1}
    assert btf.enumerator("WIDE") == 1 << 32 | 1
    assert btf.enumerator("outer") is None
    with pytest.raises(DumpError, match="no enum outer"):
        btf.enum("outer")


def test_structures_that_hold_themselves_end() -> None:
    around: list[Row] = [
        ("", info(Kind.STRUCT, 2), 4, [("", 1, 0), ("", 1, 0)]),
        ("top", info(Kind.STRUCT, 1), 4, [("", 1, 0)]),
    ]
    with pytest.raises(DumpError, match="anonymous structures"):
        Btf(made(around)).struct("top")
    many: list[Row] = [("", info(Kind.STRUCT, 60000), 4, [("", n + 2, 0)] * 60000) for n in range(5)]
    wide: list[Row] = [*many, ("", info(Kind.STRUCT), 0, []), ("top", info(Kind.STRUCT, 1), 4, [("", 1, 0)])]
    with pytest.raises(DumpError, match="more than 65536 members"):
        Btf(made(wide)).struct("top")


def test_typedefs_that_loop_end() -> None:
    loop: list[Row] = [("a", info(Kind.TYPEDEF), 2, []), ("b", info(Kind.TYPEDEF), 1, [])]
    with pytest.raises(DumpError, match="deep"):
        Btf(made([*loop, ("s", info(Kind.STRUCT, 1), 4, [("m", 1, 0)])])).struct("s")
    with pytest.raises(DumpError, match="deep"):
        Btf(made([("", info(Kind.ARRAY), 0, [(1, 1, 9)]), ("s", info(Kind.STRUCT, 1), 4, [("m", 1, 0)])])).struct("s")


def everything(data: bytes) -> None:
    btf = Btf(data)
    for name, _, _, _ in SMALL:
        btf.find_struct(name or "x")
        btf.enumerator(name or "RED")
    for number in range(len(btf) + 1):
        btf.type(number)


@given(st.data())
def test_damaged_tables_are_told(data: st.DataObject) -> None:
    whole = bytearray(made(SMALL))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(DumpError):
        everything(bytes(whole[: data.draw(st.integers(0, len(whole)))]))


def test_every_length_of_a_cut_table() -> None:
    whole = made(SMALL)
    for size in range(len(whole)):
        with pytest.raises(DumpError, match=r"^BTF: "):
            everything(whole[:size])

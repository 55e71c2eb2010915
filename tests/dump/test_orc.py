"""ORC entries in each format that kernels have had; the dumps of tests/dump/test_tasks.py have three of the four."""

from __future__ import annotations

import struct
from functools import cache
from typing import Any

import pytest

from warmboot.dump.arch.x86_64.orc import OrcEntry, OrcTables, Reg, Type
from warmboot.dump.btf_types import BtfType, Kind, Member, Struct
from warmboot.dump.interface import DumpError

BASE = 0xFFFFFFFF81000000
IPS, ENTRIES = BASE + 0x10000, BASE + 0x20000
SYMBOLS = {
    "__start_orc_unwind_ip": IPS,
    "__stop_orc_unwind_ip": IPS + 12,
    "__start_orc_unwind": ENTRIES,
    "_stext": BASE,
    "_einittext": BASE + 0x8000,
}
OLD, NEW = {"sp": 5, "bp": 4, "prev_sp": 1}, {"sp": 3, "bp": 4, "prev_sp": 8}
# Members after sp_reg and bp_reg with their bits, and numbers of types: call, registers.
FORMATS: dict[str, tuple[list[tuple[str, int]], int, int, dict[str, int]]] = {
    "until 6.2": ([("type", 2), ("end", 1)], 0, 1, OLD),
    "6.3": ([("type", 2), ("signal", 1), ("end", 1)], 0, 1, OLD),
    "6.4": ([("type", 3), ("signal", 1)], 2, 3, OLD),
    "7.2": ([("type", 3), ("signal", 1)], 2, 3, NEW),
}


class Kernel:
    """What the tables ask of a kernel: three entries, from 0x100, 0x200 and 0x300 on."""

    def __init__(self, release: str, size: int = 6) -> None:
        members, call, registers, numbers = FORMATS[release]
        at, found = 40, {}
        for name, bits in members:
            found[name] = (at - 40, bits)
            at += bits
        number = BtfType(1, Kind.INT, "unsigned int", 4)
        self.kind = Struct(
            "orc_entry",
            size,
            {name: Member(name, 40 + at, bits, number) for name, (at, bits) in found.items()},
            lambda _: self.kind,
        )
        self.btf = self.symbols = self.memory = self
        flag = {name: 1 << at for name, (at, _) in found.items()}
        end = flag.get("end", 1)  # 1: a type of its own
        signal = flag.get("signal", 0)
        rows = [
            (16, -16, numbers["sp"] | numbers["prev_sp"] << 4 | call << 8),
            (0, 0, numbers["sp"] | (registers | signal) << 8),
            (0, 0, end << 8),
        ]
        self.entries = b"".join(struct.pack("<hhH", *row) for row in rows)
        self.ips = struct.pack("<3i", *(BASE + 0x100 * n - IPS - 4 * (n - 1) for n in (1, 2, 3)))

    def struct(self, name: str) -> Struct:
        assert name == "orc_entry"
        return self.kind

    def needed(self, name: str) -> int:
        return SYMBOLS[name]

    def address(self, name: str) -> int | None:
        return SYMBOLS.get(name)

    def virtual(self, address: int, size: int) -> bytes:
        base, data = (IPS, self.ips) if address < ENTRIES else (ENTRIES, self.entries)
        return data[address - base :][:size]


@cache
def tables(release: str) -> OrcTables:
    kernel: Any = Kernel(release)
    modules: Any = None
    return OrcTables(kernel, modules)


@pytest.mark.parametrize("release", FORMATS)
def test_each_format(release: str) -> None:
    assert tables(release).find(BASE + 0x1FF) == OrcEntry(Reg.SP, 16, Reg.PREV_SP, -16, Type.CALL, False)
    found = tables(release).find(BASE + 0x200)
    assert found is not None
    assert (found.sp_reg, found.type, found.signal) == (Reg.SP, Type.REGS, True)
    last = tables(release).find(BASE + 0x7000)
    assert last is not None
    assert last.type is Type.END_OF_STACK
    assert tables(release).find(BASE + 0xFF) is None


def test_a_format_that_is_not_known() -> None:
    kernel: Any = Kernel("6.4", size=8)
    modules: Any = None
    with pytest.raises(DumpError, match="struct orc_entry of 8 bytes"):
        OrcTables(kernel, modules)

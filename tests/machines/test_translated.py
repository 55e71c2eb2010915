"""What QEMU's translator tells is read, with and without a disassembler in QEMU."""

from __future__ import annotations

from warmboot.machines.translated import Translated, asked, translated
from warmboot.memmap import Range

DISASSEMBLED = b"""----------------
IN: kexec_load
0xffffffff811d210a:  65 48 8b 04 25 28 00 00  movq     %gs:0x28, %rax
0xffffffff811d2112:  00
0xffffffff811d2113:  f8                       clc
0xffffffff811d2114:  0f b6                    bad
"""
IN_HEXADECIMAL = b"""----------------
IN:
0xffffffff811d20e0:
OBJD-T: f30f1efa0f1f440000
OBJD-T: 4156
"""


def test_what_is_disassembled() -> None:
    told = Translated([])
    told.add(DISASSEMBLED)
    start = 0xFFFFFFFF811D210A
    assert told.pieces == {
        (start, start + 8),
        (start + 8, start + 9),
        (start + 9, start + 10),
        (start + 10, start + 12),
    }
    assert told.has([start - 1, start, start + 11, start + 12]) == {start, start + 11}


def test_what_is_in_hexadecimal() -> None:
    told = Translated([])
    told.add(IN_HEXADECIMAL)
    start = 0xFFFFFFFF811D20E0
    assert told.pieces == {(start, start + 9), (start + 9, start + 11)}


def test_it_is_asked_for_inside_alone() -> None:
    told = Translated([Range(0x1000, 0x1800), Range(0x3000, 0x3001)])
    with translated(told):
        assert asked() is told
    assert asked() is None
    assert told.options(5)[-1] == "0x1000+0x800,0x3000+0x1"

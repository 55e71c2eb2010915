"""The picture of memory: every part is seen, where it lies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from support.kernels import MIB
from warmboot.figures import LivePlaceFigures, SegmentFigures
from warmboot.memmap import Range
from warmboot.report.text.loading import live_place_lines
from warmboot.report.text.memory import memory_picture

GIB = 1024 * MIB
RAM = [Range(0x1000, 0x9F000), Range(MIB, 2 * GIB), Range(4 * GIB, 6 * GIB)]


def test_a_pc() -> None:
    parts = {
        "kernel": [Range(16 * MIB, 80 * MIB)],
        "initrd": [Range(1850 * MIB, 1960 * MIB)],
        "purgatory": [Range(2 * GIB - 8192, 2 * GIB)],
    }
    assert memory_picture(RAM, parts) == [
        "     0x1000 [kk........................iip] 2.0 GiB",
        "0x100000000 [..............................] 2 GiB",
        "            k kernel   i initrd   p purgatory",
    ]


@given(
    st.lists(st.integers(0, 2 * GIB // 4096 - 1), min_size=1, max_size=8, unique=True),
    st.integers(1, 120),
)
def test_every_part_is_seen(pages: list[int], width: int) -> None:
    parts = {f"part {number}": [Range(page * 4096, page * 4096 + 4096)] for number, page in enumerate(pages)}
    *strips, legend = memory_picture([Range(0, 2 * GIB)], parts, width=width)
    assert len(strips) == 1
    cells = strips[0].partition("[")[2].partition("]")[0]
    assert len(cells) == width
    for name, [where] in parts.items():
        letter = next(each.split()[0] for each in legend.split("   ") if each.strip().endswith(name))
        assert cells[where.start * width // (2 * GIB)] in (letter, "*")
    assert ("* several" in legend) == ("*" in cells)


def test_a_narrow_terminal_gets_a_narrow_picture() -> None:
    ram = (Range(0, 2 << 30), Range(4 << 30, 9 << 30))
    figures = LivePlaceFigures(
        call="kexec_load",
        why="asked for",
        command_line="",
        segments=(SegmentFigures("kernel", 0x1000000, 64 << 20, 16 << 20),),
        entry=0x1000000,
        kernel_entry=0x1000000,
        ram=ram,
    )
    strips = [line for line in live_place_lines(figures, 50) if "[" in line]
    assert len(strips) == 2
    assert all(len(line) <= 50 for line in strips)
    assert max(len(line) for line in live_place_lines(figures) if "[" in line) > 60

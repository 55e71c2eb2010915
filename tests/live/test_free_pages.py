"""What /proc/kpageflags and /proc/buddyinfo tell of free pages, on made-up computers."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from support.computers import tree
from warmboot.live.free_pages import free_pages

GIB = 1 << 30
BLOCK_PAGES = 512
BUDDY = 1 << 10  # KPF_BUDDY
PLENTY = "Node 0, zone   Normal      0      0      0      0      0      0      0      0      0      0   2000\n"
LITTLE = (
    "Node 0, zone    DMA32      3      3      2      2      0      2      2      2      3      2    734\n"
    "Node 0, zone   Normal      2      1      2      1      1      3      3      3      0      0      4\n"
    "Node 1, zone   Normal      0      0      0      0      0      0      0      0      0      0   2000\n"
)


def computer(folder: Path, buddyinfo: str, flags: bytes) -> str:
    root = tree(folder, {"proc/buddyinfo": buddyinfo})
    (root / "proc/kpageflags").write_bytes(flags)
    return str(root)


def test_the_free_pages_of_each_block(tmp_path: Path) -> None:
    chance = random.Random(1)
    counts = [0, 512, 1, 300, 7]
    words = []
    for count in counts:
        block = [BUDDY | chance.choice([0, 1 << 20])] * count + [chance.getrandbits(64) & ~BUDDY for _ in range(512)]
        block = block[:512]
        chance.shuffle(block)
        words += block
    flags = struct.pack(f"<{len(words)}Q", *words)
    found = free_pages(GIB, computer(tmp_path, LITTLE, flags[:-80]))
    assert found is not None
    told = found(0, 7)
    last = words[-10:]
    assert told[:4] == counts[:4]
    assert told[4] == 7 - sum(bool(each & BUDDY) for each in last) + 10  # what is not told counts as free
    assert told[5:] == [BLOCK_PAGES, BLOCK_PAGES]
    assert found(1, 2) == counts[1:3]


@pytest.mark.parametrize(("size", "safe"), [(GIB, True), (6 * GIB, True), (7 * GIB, False)])
def test_below_4_gib_nothing_is_taken_while_enough_is_free_above(tmp_path: Path, size: int, safe: bool) -> None:
    found = free_pages(size, computer(tmp_path, PLENTY, b""))  # 2,000 times 4 MiB
    assert found is not None
    assert found(0, 2) == ([0, 0] if safe else [BLOCK_PAGES] * 2)
    assert found(4 * GIB // (BLOCK_PAGES * 4096), 1) == [BLOCK_PAGES]


def test_a_kernel_that_does_not_tell(tmp_path: Path) -> None:
    assert free_pages(GIB, str(tree(tmp_path, {}))) is None

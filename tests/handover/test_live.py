"""The running kernel, where memory cannot be read: what debugfs, /proc and /sys tell, in folders made here."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from support.handovers import Handover, handover
from warmboot.handover.figures import Side
from warmboot.handover.interface import HandoverError
from warmboot.handover.live import look_live


def computer(root: Path, made: Handover, *, cut: int | None = None) -> None:
    """Files of a kernel that hands over, `cut` bytes of its root's tree."""
    out = root / "sys/kernel/debug/kho/out"
    (out / "sub_fdts").mkdir(parents=True)
    (out / "fdt").write_bytes(made.tree[:cut])
    (out / "scratch_phys").write_text("0x3a000000\n0x1000000\n0x24000000\n")
    (out / "scratch_len").write_text("0x4800000\n0x0\n0xd800000\n")
    metadata = struct.pack("<I65sI", 1, b"7.2.13-kho", 4)
    (out / "sub_fdts/kexec-metadata").write_bytes(metadata)
    (out / "sub_fdts/LUO").write_bytes(b"luo-v5\0\0" + struct.pack("<3Q", 4, 0, 0))
    for name, text in {
        "proc/cmdline": "quiet kho=on liveupdate=on kho_scratch=200% root=/dev/vda\n",
        "proc/sys/kernel/osrelease": "7.2.13-kho\n",
        "proc/iomem": "00001000-0009fbff : System RAM\n00100000-3fffffff : System RAM\n",
        "proc/77/comm": "service\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "proc/77/fd").mkdir()
    (root / "proc/77/fd/5").symlink_to("anon_inode:[luo_session] cache")
    (root / "proc/77/fd/6").symlink_to("/dev/null")


@pytest.mark.parametrize("cut", [None, 300, 200])
def test_debugfs_alone(tmp_path: Path, cut: int | None) -> None:
    """The tree that debugfs has ends early where subtrees were added after the kernel's start."""
    computer(tmp_path, handover(), cut=cut)
    answer = look_live(str(tmp_path)).answer
    assert answer.memory == "debugfs alone"
    assert answer.parameters == ("kho=on", "liveupdate=on", "kho_scratch=200%")
    assert [each.size >> 20 for each in answer.scratch] == [72, 216]
    assert [(each.name, each.pid, each.process) for each in answer.held] == [("cache", 77, "service")]
    assert len(answer.ram) == 2
    [side] = answer.sides
    assert (side.side, side.version.compatible, side.map) == (Side.OUT, "kho-v4", None)
    if cut is None:
        assert [each.name for each in side.subtrees] == ["LUO", "kexec-metadata", "memblock", "kho_test"]
        assert side.chain is not None
        assert (side.chain.previous_release, side.chain.kexec_count) == ("7.2.13-kho", 4)
    else:
        assert any("cut off" in each for each in side.problems)
    if side.subtrees:
        assert side.luo is not None
        assert side.luo.number == 4
    assert any("memory cannot be read" in each for each in answer.problems)


def test_no_handover(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    with pytest.raises(HandoverError, match="the running kernel: "):
        look_live(str(tmp_path))

"""How much RAM a machine may have here: by this computer's memory, and by that of its control groups."""

from __future__ import annotations

from pathlib import Path

from warmboot.machines.fit import available_memory, ram_that_fits

MIB, GIB = 1 << 20, 1 << 30


def computer(root: Path, available: int, cgroup: str = "", files: dict[str, str] | None = None) -> Path:
    written = {"proc/meminfo": f"MemTotal: 1 kB\nMemAvailable:  {available >> 10} kB\n", "proc/self/cgroup": cgroup}
    for name, text in (written | (files or {})).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_an_eighth_of_the_memory_may_become_struct_pages(tmp_path: Path) -> None:
    root = computer(tmp_path, 8 * GIB)
    assert available_memory(root) == 8 * GIB
    assert ram_that_fits(root) == 64 * GIB


def test_there_is_a_least_and_a_most(tmp_path: Path) -> None:
    assert ram_that_fits(computer(tmp_path, 64 * MIB)) == GIB
    assert ram_that_fits(computer(tmp_path, 2000 * GIB)) == 256 * GIB
    assert ram_that_fits(tmp_path / "nothing") == 8 * GIB  # as with 1 GiB available


def test_control_groups_count(tmp_path: Path) -> None:
    """Version 2: those above ours too; what a cache of files takes can be had."""
    stat = f"anon {GIB}\nfile {90 * GIB}\nshmem {GIB}\n"
    files = {
        "sys/fs/cgroup/a/b/memory.max": "max\n",
        "sys/fs/cgroup/a/memory.max": f"{4 * GIB}\n",
        "sys/fs/cgroup/a/memory.stat": stat,
    }
    assert available_memory(computer(tmp_path, 100 * GIB, "0::/a/b\n", files)) == 2 * GIB


def test_control_groups_of_version_1_count(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/memory/a/memory.limit_in_bytes": f"{3 * GIB}\n",
        "sys/fs/cgroup/memory/a/memory.stat": f"total_cache 5\ntotal_rss {GIB}\ntotal_shmem 0\n",
    }
    assert available_memory(computer(tmp_path, 100 * GIB, "4:memory:/a\n3:cpu:/x\n", files)) == 2 * GIB


def test_this_computer_has_some() -> None:
    assert available_memory() > 64 * MIB

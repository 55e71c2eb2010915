"""The one file that is wanted of a large package, whole or not at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from warmboot.debian.symbols import extract
from warmboot.errors import RefusedError

CONTROL = "Package: linux-image-1-dbg\nVersion: 1\nArchitecture: amd64\nMaintainer: nobody\nDescription: symbols\n"


def package(folder: Path, name: str) -> Path:
    """A package with that vmlinux, a link to it as Debian's have, and something else."""
    content, deb = folder / "content", folder / "package.deb"
    boot, modules = content / "usr/lib/debug/boot", content / "usr/lib/debug/lib/modules/1"
    for each in (boot, modules, content / "DEBIAN"):
        each.mkdir(parents=True)
    (content / "DEBIAN/control").write_text(CONTROL)
    (boot / name).write_bytes(b"\x7fELF")
    (modules / name).symlink_to(f"../../../boot/{name}")
    (modules / "module.ko").write_bytes(bytes(1000))
    subprocess.run(["dpkg-deb", "--build", str(content), str(deb)], check=True, capture_output=True)
    return deb


def test_one_file_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "symbols" / "vmlinux-1"
    extract(package(tmp_path, "vmlinux-1"), path)
    assert path.read_bytes() == b"\x7fELF"
    assert not path.is_symlink()
    assert [each.name for each in path.parent.iterdir()] == ["vmlinux-1"]


def test_a_package_without_it(tmp_path: Path) -> None:
    path = tmp_path / "symbols" / "vmlinux-2"
    with pytest.raises(RefusedError, match=r"package\.deb holds no vmlinux-2"):
        extract(package(tmp_path, "vmlinux-1"), path)
    assert list(path.parent.iterdir()) == []

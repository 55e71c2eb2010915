"""What is packed is small and loads; lean ELF files are what they were."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.formats.elf import ET_EXEC, PT_LOAD, ProgramHeader, pack_headers
from warmboot.kdump.lean_elf import is_elf, lean
from warmboot.kdump.packing import Packer


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is packed, in a folder that is no root."""
    root = tmp_path_factory.mktemp("packed")
    packer = Packer(root)
    packer.python("zstd")
    assert packer.packed.bytes < 24 << 20, packer.packed
    assert not list(root.rglob("*numpy*")), "saving needs none"
    return root / "usr/lib/warmboot"


def run(site: Path, code: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-IBS", "-c", f"import sys; sys.path.insert(0, {str(site)!r})\n{code}"]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_zstandard_is_the_same_without_its_symbols(site: Path) -> None:
    code = "import zstandard as z; print(z.backend, z.decompress(z.compress(b'page' * 999)) == b'page' * 999)"
    assert run(site, code).stdout.split() == ["cext", "True"]
    spec = importlib.util.find_spec("zstandard.backend_c")
    assert spec is not None
    whole = Path(spec.origin or "").read_bytes()
    assert is_elf(whole)
    assert len(lean(whole)) <= len(whole)
    assert lean(lean(whole)) == lean(whole)


@given(st.binary(max_size=300), st.integers(0, 200), st.binary(max_size=8))
def test_any_bytes_are_left_or_shortened(data: bytes, at: int, put: bytes) -> None:
    """Damaged files stay as they are: whoever loads them says what is wrong."""
    damaged = bytearray(pack_headers(ET_EXEC, [ProgramHeader(PT_LOAD, 5, 0, 0, 0, 120, 120, 4096)]) + bytes(100))
    damaged[at : at + len(put)] = put
    for each in (data, b"\x7fELF\x02\x01" + data, bytes(damaged)):
        assert len(lean(each)) <= len(each)


def test_a_folder_with_a_link_out_of_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "out").mkdir()
    os.symlink(tmp_path / "out", tmp_path / "root/usr")  # noqa: PTH211 - as a maker of initrds might
    with pytest.raises(Exception, match="leads out"):
        Packer(tmp_path / "root").put(Path("usr/x"), b"", "python")
    assert not list((tmp_path / "out").iterdir())

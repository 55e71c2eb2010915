"""Authenticode digests are those that pesign shows, and what sbverify accepts is sound here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.formats import zboot_program
from support.signing import authority, made, signed, small_kernel
from support.signing_tools import pesign, sbverify
from warmboot.debian import Suite, cache_folder, kernel, unpack
from warmboot.debian.built import built_kernel
from warmboot.debian.cache import locked
from warmboot.debian.kernels import KERNELS
from warmboot.files.mapped import map_file
from warmboot.signatures.figures import signature_figures
from warmboot.signatures.pefile import content_digest, parse_pefile

pytestmark = pytest.mark.needs_apt


def _pesign(path: Path) -> str:
    done = subprocess.run([*pesign(), "-h", "-i", path], capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


def _ours(path: Path) -> str:
    data = map_file(path, "file")
    return content_digest(data, parse_pefile(data, signed=False), "sha256").hex()


@pytest.mark.parametrize("series", KERNELS)
def test_kernels(series: str, tmp_path: Path) -> None:
    path = kernel(series)
    assert _ours(path) == _pesign(path)
    figures = signature_figures(map_file(path, "file"), "kernel")
    assert figures.sound
    assert figures.signers[0].name == "Debian Secure Boot Signer 2022 - linux"
    # Without Debian's certificate it does not accept the signer, but it looks at the digest first.
    done = subprocess.run([*sbverify(), path], capture_output=True, text=True, check=False)
    assert "hash" not in done.stderr.lower()
    _refused(path, tmp_path)


def _unpacked(package: str, suite: str = "bookworm") -> Path:
    root = cache_folder() / "signatures" / suite / package
    with locked(root.parent / f"{package}.lock"):
        if not root.exists():
            [deb] = Suite(suite).fetch([package])
            unpack(deb, root.parent / "unpacking")
            (root.parent / "unpacking").rename(root)
    return root


def _accepted(path: Path, folder: Path) -> None:
    """By sbverify with our authority's certificate, and here; both digests are the same."""
    assert _ours(path) == _pesign(path)
    (folder / "ca").write_text(authority().pem)
    done = subprocess.run([*sbverify(), "--cert", folder / "ca", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Signature verification OK" in done.stdout + done.stderr
    assert signature_figures(map_file(path, "file"), "file").sound


def _refused(path: Path, folder: Path) -> None:
    """A file of which a byte in the middle was changed: sbverify and pesign say which digest it has now."""
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    damaged = folder / "damaged"
    damaged.write_bytes(data)
    done = subprocess.run([*sbverify(), damaged], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    [told] = re.findall(r"^ expecting: ([0-9a-f]{64})$", done.stderr, re.MULTILINE)
    assert _ours(damaged) == _pesign(damaged) == told
    assert not signature_figures(map_file(damaged, "file"), "file").sound


def test_a_unified_kernel_image_made_by_ukify(tmp_path: Path) -> None:
    ukify, pefile = _unpacked("systemd-ukify", "trixie"), _unpacked("python3-pefile", "trixie")
    [stub] = _unpacked("systemd-boot-efi", "trixie").rglob("linuxx64.efi.stub")
    [program] = [each for each in ukify.rglob("ukify") if each.is_file() and not each.is_symlink()]
    (tmp_path / "linux").write_bytes(small_kernel())
    (tmp_path / "initrd").write_bytes(bytes(5000))
    uki, path = tmp_path / "uki", tmp_path / "signed"
    parts = [f"--linux={tmp_path / 'linux'}", f"--initrd={tmp_path / 'initrd'}", "--cmdline=quiet", "--uname=6.12.0"]
    subprocess.run(
        [sys.executable, program, "build", *parts, f"--stub={stub}", f"--output={uki}"],
        env=os.environ | {"PYTHONPATH": str(pefile / "usr/lib/python3/dist-packages")},
        capture_output=True,
        check=True,
    )
    assert _ours(uki) == _pesign(uki)
    path.write_bytes(signed(uki.read_bytes(), made("warmboot test signer", authority())))
    _accepted(path, tmp_path)
    _refused(path, tmp_path)


def test_a_zboot_file(tmp_path: Path) -> None:
    """A program that unpacks the kernel in it: Debian makes none, so it is put together here."""
    path = tmp_path / "vmlinuz.efi"
    path.write_bytes(signed(zboot_program(small_kernel()), made("warmboot test signer", authority())))
    _accepted(path, tmp_path)
    _refused(path, tmp_path)


@pytest.mark.needs_built
def test_a_kernel_that_is_built() -> None:
    path = built_kernel("kho")
    assert _ours(path) == _pesign(path)


@pytest.mark.parametrize("package", ["systemd-boot-efi", "memtest86+", "ipxe"])
def test_efi_programs(package: str) -> None:
    """Stubs and boot loaders: sections of all kinds, and no signature."""
    programs = [
        each
        for each in _unpacked(package).rglob("*")
        if each.name.endswith((".efi", ".efi.stub")) and not each.is_symlink()
    ]
    for each in programs:
        assert _ours(each) == _pesign(each), each
    assert programs


@pytest.mark.parametrize("extra", [0, 1, 7, 8])
def test_sizes_that_are_no_multiple_of_eight(tmp_path: Path, extra: int) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(signed(small_kernel() + bytes(extra), made("warmboot test signer", authority())))
    _accepted(path, tmp_path)

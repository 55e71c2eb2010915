"""Kinds and addresses side by side with kexec-tools, on the same files.

`kexec --type` with a kind that does not match names the one that does; what it would load is seen by `peer.captured`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from support.formats import from_debian, multiboot1, samples, vmlinux
from support.kexec_tools import kexec_tools
from support.peer import Load, captured
from warmboot.debian import kernel
from warmboot.errors import InputError
from warmboot.images import ElfImage, MultibootImage, WrongKindError, identify, kind_names
from warmboot.uapi import page_align

pytestmark = pytest.mark.needs_namespaces

# Nothing packed: Debian builds kexec-tools without zlib, zstd and lzma.
FILES: Mapping[str, Callable[[], Path | bytes | memoryview]] = {
    "Debian's bzImage": lambda: kernel("6.12"),
    "Debian's vmlinux": lambda: vmlinux("5.10"),
    "Xen": lambda: identify(from_debian("xen-hypervisor-4.17-amd64", "boot/xen-4.17-amd64.gz")).file,
    "memdisk": lambda: from_debian("syslinux-common", "usr/lib/syslinux/memdisk"),
    "iPXE": lambda: from_debian("ipxe", "boot/ipxe.lkrn"),
    "Memtest86+": lambda: from_debian("memtest86+", "boot/memtest86+x64.bin"),
    "ELF64": lambda: samples()["elf64"],
    "ELF32": lambda: samples()["elf32"],
    "multiboot 1": lambda: samples()["multiboot 1"],
    "multiboot 1, flat": lambda: samples()["multiboot 1 flat"],
    "multiboot 1 in ELF64": lambda: multiboot1(3, bits=64),
    "multiboot 2": lambda: samples()["multiboot 2"],
    "no kernel": lambda: b"no kernel at all" * 1000,
}
# kexec-tools 2.0.25 does not know this kind yet.
ASKED = [each for each in kind_names() if each != "uki"]


@pytest.fixture
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The file that the test is about."""
    content = FILES[request.param]()
    if isinstance(content, Path):
        return content
    (tmp_path / "kernel").write_bytes(content)
    return tmp_path / "kernel"


def ours(path: Path, kind: str | None) -> str | None:
    """The kind that the file is identified as when asked for `kind`; None for none."""
    try:
        return identify(path, kind).kind
    except WrongKindError as error:
        return error.matches
    except InputError:
        return None


def theirs(path: Path, kind: str | None) -> str | None:
    """The same by kexec-tools."""
    ran = captured([*kexec_tools(), "-c", "-l", *(["-t", kind] if kind else []), path])
    if ran.calls:
        return kind
    wrong = re.search(r"Wrong file type \S+, file matches type (\S+)", ran.stderr)
    if wrong:
        return wrong[1]
    assert "Cannot determine the file type of" in ran.stderr, ran.stderr
    return None


@pytest.mark.parametrize("path", FILES, indirect=True)
def test_every_kind_asked_of_every_file(path: Path) -> None:
    assert [(kind, ours(path, kind)) for kind in ASKED] == [(kind, theirs(path, kind)) for kind in ASKED]


LOADED = ["Debian's vmlinux", "Xen", "ELF64", "ELF32", "multiboot 1", "multiboot 1, flat", "multiboot 2"]


@pytest.mark.parametrize("path", LOADED, indirect=True)
def test_what_is_loaded_where(path: Path) -> None:
    """Each segment of the image is one of kexec-tools': the same bytes, address, and pages."""
    ran = captured([*kexec_tools(), "-c", "-l", path])
    [call] = ran.calls
    assert isinstance(call, Load)
    image = identify(path)
    assert isinstance(image, ElfImage | MultibootImage)
    placed = {each.mem: (each.data, each.memsz) for each in call.segments}
    for segment in image.segments:
        assert placed[segment.paddr] == (bytes(segment.data), page_align(segment.memsz))

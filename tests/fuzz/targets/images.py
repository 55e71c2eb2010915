"""Kernel images: told by content, unpacked, parsed, placed and loaded."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict

from warmboot.errors import WarmbootError
from warmboot.images import Image, decompressed, identify_bytes, kind_names
from warmboot.images.figures import image_figures
from warmboot.kernel import Caller, KexecError
from warmboot.kernel.kexec_file import kexec_file_load_check
from warmboot.machines.machine import Machine
from warmboot.memmap import Facts
from warmboot.placement import Module, PlaceOptions, place
from warmboot.placement.modules import read_module
from warmboot.report.text.figures import figures_lines
from warmboot.uapi import KexecFileRequest

__all__ = ["decompress", "file_load", "images", "kinds", "module", "placing"]

_MOST = 1 << 20  # bytes that a small file may unpack to here
_FACTS = Facts.of_pc(256 << 20, crashkernel=32 << 20)
_SEED = bytes(32)


def _shown(image: Image) -> None:
    """What `inspect` does with an image, as text and as JSON."""
    figures = image_figures(image)
    assert figures_lines(figures)
    asdict(figures)


def images(data: bytes) -> None:
    """A file as it comes."""
    with suppress(WarmbootError):
        _shown(identify_bytes(memoryview(data), "kernel"))


def kinds(data: bytes) -> None:
    """A file that is said to be of a kind, as by `kexec --type`: the first byte says which."""
    if data:
        with suppress(WarmbootError):
            _shown(identify_bytes(memoryview(data)[1:], "kernel", kind_names()[data[0] % len(kind_names())]))


def decompress(data: bytes) -> None:
    """Every packing, within a limit."""
    with suppress(WarmbootError):
        assert len(decompressed(memoryview(data), "packed", limit=_MOST)) <= max(_MOST, len(data))


def placing(data: bytes) -> None:
    """An image that is placed and loaded; the first byte says how, the second how much of the rest is an initrd."""
    if len(data) < 2:
        return
    how, cut = data[0], data[1]
    extra, file = memoryview(data)[2 : 2 + cut], memoryview(data)[2 + cut :]
    with suppress(WarmbootError):
        image = identify_bytes(file, "kernel")
        placement = place(
            image,
            _FACTS,
            PlaceOptions(
                initrds=[extra] if how & 1 and cut else [],
                modules=[Module(extra, "module a b")] if how & 2 and cut else [],
                command_line="console=ttyS0 -- 3" if how & 4 else "",
                rng_seed=_SEED,
                entry_32bit=bool(how & 8),
                elf_style=("linux", "elf", "none", "linux")[how >> 4 & 3],
                digest="xxh64" if how & 0x40 else "none",
            ),
        )
        if how & 0x80:
            with Machine(_FACTS) as machine, suppress(KexecError):
                machine.kernel.kexec_load(placement.request)


def module(data: bytes) -> None:
    """A multiboot module, which is unpacked where it is one packed stream and passed as it is where it is not."""
    with suppress(WarmbootError):
        found = read_module("module a b", lambda path: memoryview(data))
        assert found.data.nbytes or not data


def file_load(data: bytes) -> None:
    """An image that kexec_file_load is asked about: the checks of the running kernel, signatures among them."""
    if len(data) < 2:
        return
    how, flags = data[0], data[1] & 0x3F
    line = data[2 : 2 + how] if how & 2 else b"quiet\0"
    request = KexecFileRequest(memoryview(data)[2:], how << 20 if how & 1 else 0, line, flags)
    with Machine(_FACTS) as machine, suppress(KexecError):
        machine.kernel.security.sig_enforce = bool(how & 4)
        kexec_file_load_check(machine.kernel, request, Caller())

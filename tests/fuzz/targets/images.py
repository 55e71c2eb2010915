"""Kernel images: told by content, unpacked, parsed, placed and loaded."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict

from warmboot.errors import WarmbootError
from warmboot.images import Image, decompressed, identify_bytes, kind_names
from warmboot.images.figures import image_figures
from warmboot.kernel import KexecError
from warmboot.machines.machine import Machine
from warmboot.memmap import Facts
from warmboot.placement import Module, PlaceOptions, place
from warmboot.report.text.figures import figures_lines

__all__ = ["decompress", "images", "kinds", "placing"]

_MOST = 8 << 20  # bytes that a small file may unpack to here
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
                digest=bool(how & 0x40),
            ),
        )
        if how & 0x80:
            with Machine(_FACTS) as machine, suppress(KexecError):
                machine.kernel.kexec_load(placement.request)

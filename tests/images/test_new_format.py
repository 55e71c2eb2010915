"""A new format is a row in the kinds of `images` and one in the formats of `placement`, and its own modules.

What `inspect` shows of it is the least that every image has, until its class has a method `figures`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from warmboot.errors import InputError
from warmboot.images import identify_bytes, kind_names
from warmboot.images.arch import x86_64 as kinds
from warmboot.images.arch.interface import Kind, Origin
from warmboot.images.figures import image_figures
from warmboot.memmap import Facts
from warmboot.memmap.ranges import Range
from warmboot.placement import Placement, PlaceOptions, linux_command_line, place
from warmboot.placement.arch.x86_64.formats import PLACERS
from warmboot.placement.layout import Layout
from warmboot.purgatory import Entry
from warmboot.report.text.image import image_lines
from warmboot.uapi import Readable


@dataclass(frozen=True)
class Flat:
    """A made-up format: a magic, and code that runs at 16 MiB."""

    name: str
    file: memoryview
    wrapping: tuple[str, ...] = ()
    kind: str = "flat"
    version: str = "1.0"


def place_flat(layout: Layout, image: object) -> Placement:
    assert isinstance(image, Flat)
    where = layout.space.take(Range(0x100_0000, 0x100_1000))
    return layout.finish(layout.add("kernel", Readable(image.file), where), Entry(where.start + 4), "")


def test_two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(data: memoryview, origin: Origin) -> Flat:
        return Flat(origin.name, data, origin.wrapping)

    row = Kind("flat", lambda data: bytes(data[:4]) == b"FLAT", parse)
    monkeypatch.setattr(kinds, "ARCH", (*kinds.ARCH, row))
    image = identify_bytes(memoryview(b"FLAT\xf4"), "kernel")
    assert kind_names()[-1] == image.kind == "flat"
    assert image_lines(image_figures(image)) == ["kernel", "flat, version 1.0", "5 bytes in the file"]
    facts = Facts.of_pc(1 << 30)
    assert linux_command_line(image, facts, "quiet") is None
    with pytest.raises(InputError, match="of type flat, which cannot be placed"):
        place(image, facts)
    monkeypatch.setitem(PLACERS, "flat", place_flat)
    placement = place(image, facts, PlaceOptions(digest="none"))
    assert [each.name for each in placement.request.segments] == ["kernel", "purgatory"]
    assert placement.kernel_entry == 0x100_0004

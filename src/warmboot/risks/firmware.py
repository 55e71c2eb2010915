"""Memory that firmware still writes to, and that a new kernel may take for its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from warmboot.risks.risk import LIKELY, POSSIBLE, Risk, Told
from warmboot.risks.told import resources
from warmboot.uapi import LoadRequest

__all__ = ["firmware"]

_CUT = re.compile(r"(?:^|\s)(mem|memmap)=(?!nopentium)\S+")
_RAM = "System RAM"


def firmware(told: Told, command_line: str, request: LoadRequest | None) -> Iterator[Risk]:
    """A map that the new command line makes, and segments that go where firmware's map has no RAM."""
    # memmap=SIZE$ADDRESS takes memory away, and gives none
    cut = next((each for each in _CUT.finditer(command_line) if "$" not in each[0]), None)
    if cut is not None:
        seen = f"the command line that is known has {cut[1]}=, which hides what firmware keeps"
        yield Risk("firmware_memory", POSSIBLE, f"the new command line has {cut[1]}=", seen)
    if request is None or told.firmware_memmap is None:
        return
    kept = [each for each in resources(told.firmware_memmap) if each.name != _RAM]
    for index, segment in enumerate(request.segments):
        end = segment.mem + segment.memsz
        for each in kept:
            if segment.mem < each.range.end and each.range.start < end:
                seen = f"segment {index} goes to {each.range}, which firmware's map has as {each.name}"
                yield Risk("firmware_memory", LIKELY, "a segment goes where firmware's map has no RAM", seen)
                return

"""`kexec` with one thing wrong: staged in a guest, whose black box has to tell what it was.

    python3.11 -SB damage.py WHAT... -- KEXEC'S ARGUMENTS

WHAT is `segment NAME PLACE`: a byte of the first, middle or last page of that segment is changed after its digest was
taken, on the way into the kernel. `start ADDRESS`: Linux leaves for there, and not for the purgatory. `entry ADDRESS`:
the purgatory enters the kernel there. `piece ADDRESS`: the purgatory is told to check memory there, too. `ram END`: the
new kernel is told of no RAM from that address on. `firmware`: it is told neither of EFI nor of ACPI's root pointer.
`none`: nothing. Addresses are physical.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from warmboot.cli.kexec import main as kexec
from warmboot.dropin import load_segments
from warmboot.images import Image
from warmboot.live.buffers import Buffers
from warmboot.live.calls import kexec_load
from warmboot.live.computer import Computer
from warmboot.memmap import E820Entry, E820Type, Firmware, Range
from warmboot.placement import Placement, PlaceOptions, place
from warmboot.placement.layout import Layout
from warmboot.purgatory.parameters import Region
from warmboot.uapi import PAGE_SIZE, LoadRequest, Readable, Segment

__all__ = ["damaged"]


def main() -> int:
    """Damage and load; kexec's exit status."""
    what, words = sys.argv[1:], []
    if "--" in what:
        at = what.index("--")
        what, words = what[:at], what[at + 1 :]
    _KINDS[what[0]](*what[1:])
    sys.argv = ["kexec", *words]
    return kexec()


def damaged(segment: Segment, place: str) -> Segment:
    """The segment with one byte changed, in the first, middle or last of the pages that its bytes have."""
    data = bytearray(b"".join(map(bytes, segment.buf.pieces(0, segment.bufsz))))
    pages = (len(data) - 1) // PAGE_SIZE
    page = {"first": 0, "middle": pages // 2, "last": pages}[place]
    data[min(page * PAGE_SIZE + 0x123, len(data) - 1)] ^= 0x10
    return segment._replace(buf=Readable.of(data))


def _segment(name: str, place: str) -> None:
    def load(request: LoadRequest, _: Buffers) -> None:
        found = [each for each in request.segments if each.name == name]
        if not found:
            sys.exit(f"no segment {name}: {[each.name for each in request.segments]}")
        worse = found[-1 if place == "last" else 0]
        segments = tuple(damaged(each, place) if each is worse else each for each in request.segments)
        with Buffers(segments) as changed:
            kexec_load(LoadRequest(request.entry, segments, request.flags), changed)

    _instead(load_segments, "kexec_load", load)


def _start(address: str) -> None:
    def load(request: LoadRequest, buffers: Buffers) -> None:
        kexec_load(LoadRequest(int(address, 0), request.segments, request.flags), buffers)

    _instead(load_segments, "kexec_load", load)


def _entry(address: str) -> None:
    finish = Layout.finish

    def elsewhere(self: Layout, kernel: Segment, entry: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401
        return finish(self, kernel, replace(entry, address=int(address, 0)), *more, **named)

    _instead(Layout, "finish", elsewhere)


def _piece(address: str) -> None:
    regions = Layout._regions

    def more(self: Layout) -> list[Region]:
        return [*regions(self), Region(int(address, 0), PAGE_SIZE, bytes(8))]

    _instead(Layout, "_regions", more)


def _ram(end: str) -> None:
    get: Callable[[Layout], list[E820Entry]] = vars(Layout)["e820"].fget

    def less(self: Layout) -> list[E820Entry]:
        return [
            E820Entry(Range(each.range.start, min(each.range.end, int(end, 0))), each.type)
            if each.type is E820Type.RAM
            else each
            for each in get(self)
            if each.type is not E820Type.RAM or each.range.start < int(end, 0)
        ]

    _instead(Layout, "e820", property(less))


def _firmware() -> None:
    def forgetful(kernel: Image, computer: Computer, options: PlaceOptions) -> Placement:
        return place(kernel, replace(computer, rsdp=0), replace(options, firmware=Firmware()))

    _instead(load_segments, "place", forgetful)


def _instead(owner: object, name: str, new: object) -> None:
    patch.object(owner, name, new).start()


_KINDS: dict[str, Callable[..., None]] = {
    "segment": _segment,
    "start": _start,
    "entry": _entry,
    "piece": _piece,
    "ram": _ram,
    "firmware": _firmware,
    "none": lambda: None,
}

if __name__ == "__main__":
    sys.exit(main())

"""What of the witness depends on the architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from warmboot.uapi import KexecArch

__all__ = ["ReportRules", "WitnessArch"]


@dataclass(frozen=True, slots=True)
class ReportRules:
    """What a report of one architecture holds, and what of it is compared.

    `registers` are named in the report's order, `stack_pointer` is one of them. Of a register the bits `not_compared`
    are not; of those in `frame_is_chance` the page frame is the page allocator's choice in an image that is not for a
    crash. `text` is the virtual address from which on the kernel's text is mapped, `page_offsets` are the distances of
    the direct mapping, and `canonical` makes a virtual address of the bits that are translated.
    """

    registers: Sequence[str]
    stack_pointer: str
    not_compared: Mapping[str, int]
    frame_is_chance: Sequence[str]
    text: int
    page_offsets: Sequence[int]
    canonical: Callable[[int, Mapping[str, int]], int]


@dataclass(frozen=True, slots=True)
class WitnessArch:
    """The witness of one architecture: its built bytes, and offsets and sizes in them, in bytes.

    `table` is where the table of regions is written, `scratch` the page that it writes to, `size` the memory that it
    takes; `flag` names the architecture to kexec_load, `report` are the rules of what it says.
    """

    code: bytes
    table: int
    scratch: int
    size: int
    flag: KexecArch
    report: ReportRules

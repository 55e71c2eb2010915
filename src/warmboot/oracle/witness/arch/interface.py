"""What of the witness depends on the architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from warmboot.uapi import KexecArch

__all__ = ["FileRules", "ReportRules", "WitnessArch"]


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
class FileRules:
    """Images of kexec_file_load. `header` makes the part before the body of the memory that the image takes, its
    alignment, its preferred address, and how long its command line may be; `setup_part` is that part of a real kernel,
    with the memory that it takes and how long its command line may be. The body is entered at `entry`, where `halt`
    stops. `registers` reads a debugger's answer, `purgatory_registers` of them are the purgatory's own. `random_seed`
    tells where that is.
    """

    header: Callable[[int, int, int, int], bytes]
    setup_part: Callable[[bytes], tuple[bytes, int, int]]
    entry: int
    halt: bytes
    registers: Callable[[bytes], dict[str, int]]
    purgatory_registers: Sequence[str]
    random_seed: Callable[[bytes, int], int]


@dataclass(frozen=True, slots=True)
class WitnessArch:
    """The witness of one architecture: its built bytes, and offsets and sizes in them, in bytes.

    `table` is where the table of regions is written, `scratch` the page that it writes to, `size` the memory that it
    takes; `flag` names the architecture to kexec_load, `report` are the rules of what it says, `file` of file calls.
    """

    code: bytes
    table: int
    scratch: int
    size: int
    flag: KexecArch
    report: ReportRules
    file: FileRules

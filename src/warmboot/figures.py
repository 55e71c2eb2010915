"""The figures of each stage, the source of text and JSON: sizes in bytes, addresses physical, times in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from warmboot.crash_figures import AnyCrashFigures
from warmboot.handed_figures import AnyHandedFigures
from warmboot.handover.compatible import Compatibility
from warmboot.images.figures import BzImageFigures, ElfFigures, ImageFigures, MultibootFigures, UkiFigures
from warmboot.memmap import Range
from warmboot.placement import Placement
from warmboot.placement.reason import reason_text
from warmboot.risks.risk import Risk
from warmboot.switch_figures import AnySwitchFigures
from warmboot.timing.figures import TimeFigures

__all__ = [
    "BootFigures",
    "BzImageFigures",
    "DigestFigures",
    "ElfFigures",
    "Figures",
    "HandOverFigures",
    "ImageFigures",
    "LivePlaceFigures",
    "LoadFigures",
    "LoadStageFigures",
    "ModelLoadFigures",
    "MultibootFigures",
    "PermitFigures",
    "PhaseFigures",
    "PlaceFigures",
    "RehearsalPlaceFigures",
    "RisksFigures",
    "SegmentFigures",
    "UkiFigures",
    "digest_figures",
    "segment_figures",
]


@dataclass(frozen=True, slots=True)
class SegmentFigures:
    """A segment of the request: `bufsz` bytes go to `mem`, where `memsz` are reserved for it, and `why` there."""

    name: str
    mem: int
    memsz: int
    bufsz: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class DigestFigures:
    """A part of the image that the purgatory checks, by one digest or the other."""

    mem: int
    size: int
    sha256: str | None = None
    xxh64: str | None = None


@dataclass(frozen=True, kw_only=True)
class PlaceFigures:
    """Where the image's parts go. By kexec_file_load the kernel chooses that: then `segments` is None.

    `call` is the system call, `why` the reason for it. `unpacked` describes what was unpacked before, where that was
    asked for, and the random place of such a kernel. `ram` is the machine's memory; `crash_kernel` is reserved.
    """

    call: str
    why: str
    command_line: str
    segments: tuple[SegmentFigures, ...] | None = None
    entry: int | None = None
    kernel_entry: int | None = None
    ram: tuple[Range, ...] = ()
    crash_kernel: tuple[Range, ...] = ()
    unpacked: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LivePlaceFigures(PlaceFigures):
    """On this computer.

    `not_handed_on` describes what the next kernel will not have, such as a screen that a driver owns. `blackbox` is the
    physical address of the black box, `command_line_added` what was added so that the next kernel keeps it.
    """

    not_handed_on: tuple[str, ...] = ()
    blackbox: int | None = None
    command_line_added: str = ""


@dataclass(frozen=True, kw_only=True)
class RehearsalPlaceFigures(PlaceFigures):
    """On the machine of a rehearsal.

    `command_line_added` is what was added to follow the boot; `differs_from_facts` describes where the machine differs
    from the facts.
    """

    boot_params: int | None = None
    digests: tuple[DigestFigures, ...] = ()
    command_line_added: str = ""
    differs_from_facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PermitFigures:
    """The checks that a request passed, by the names of their rules in the kernel's order.

    `profile` names the kernel's release as the model knows it; `fit` says how well that is known ("known", "near",
    "unknown"), `why` it was chosen. `assumed` describes assumptions, `not_made` checks that only the kernel can make.
    `handover` is what the new kernel takes of what the machine hands over, where its facts say that it does.
    """

    profile: str
    passed: tuple[str, ...]
    fit: str = ""
    why: str = ""
    assumed: tuple[str, ...] = ()
    not_made: tuple[str, ...] = ()
    handover: Compatibility | None = None


@dataclass(frozen=True, slots=True)
class RisksFigures:
    """What may fail after the jump, by this computer's facts, the likely first. Nothing is refused for it."""

    risks: tuple[Risk, ...]


@dataclass(frozen=True, slots=True)
class ModelLoadFigures:
    """An image that the model loaded: `bytes` were copied to `memory` bytes; pages are of 4 KiB."""

    bytes: int
    memory: int
    page_list_entries: int
    pages: int
    control_pages: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """An image that this computer's kernel loaded by the system call `call`."""

    call: str
    bytes: int
    memory: int
    seconds: float


@dataclass(frozen=True, slots=True)
class HandOverFigures:
    """The code that hands over, executed; `registers` are those at the kernel's first instruction.

    `serial` is what the purgatory wrote to the serial port.
    """

    executed: str
    digest: str
    digest_algorithm: str
    digest_bytes: int
    relocation_seconds: float
    purgatory_seconds: float
    registers: dict[str, int]
    serial: str


@dataclass(frozen=True, slots=True)
class PhaseFigures:
    """A part of a boot and how many seconds it took, by the console's lines.

    "dark" is from the hand-over to the kernel's first line. Where the purgatory was asked to speak it is three parts:
    "relocation" until it speaks, "purgatory" its checks, "unpacking" from its last line to the kernel's first. "kernel"
    is from there until it unpacks the initrd, "initrd" the unpacking and what is done beside it, "devices" the rest
    until the first program is started, "init" from there.
    """

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BootFigures:
    """What the booting kernel said on its console. `seconds` are those since the hand-over; None is not known.

    `init` is the first program that was started, `first_words` its first line; `last_lines` are the console's last
    lines where the boot failed. `notes` say what of the console was not kept. `phases` are where the seconds went.
    """

    machine: str
    seconds: float
    release: str | None
    acpi: bool
    processors: int | None
    reached: str
    init: str | None
    first_words: str | None
    last_lines: tuple[str, ...]
    notes: tuple[str, ...] = ()
    phases: tuple[PhaseFigures, ...] = ()


LoadStageFigures = (
    ImageFigures
    | LivePlaceFigures
    | RehearsalPlaceFigures
    | PermitFigures
    | ModelLoadFigures
    | LoadFigures
    | HandOverFigures
    | BootFigures
)
Figures = LoadStageFigures | RisksFigures | TimeFigures | AnyCrashFigures | AnyHandedFigures | AnySwitchFigures


def segment_figures(placement: Placement, crash_kernel: Iterable[Range] = ()) -> tuple[SegmentFigures, ...]:
    """The figures of a placement's segments, each with the rule that put it there; `crash_kernel` is reserved."""
    segments = placement.request.segments
    others = {each.name: [Range(each.mem, each.end)] for each in segments} | {"reservation": [*crash_kernel]}
    return tuple(
        SegmentFigures(each.name, each.mem, each.memsz, each.bufsz, _why(placement, each.mem, others))
        for each in segments
    )


def _why(placement: Placement, mem: int, others: Mapping[str, Sequence[Range]]) -> str:
    reason = placement.reasons.get(mem)
    return "" if reason is None else reason_text(reason, others)


def digest_figures(placement: Placement) -> tuple[DigestFigures, ...]:
    """The figures of what the purgatory checks."""
    return tuple(
        DigestFigures(each.start, each.size, **{each.algorithm: each.digest.hex()}) for each in placement.regions
    )

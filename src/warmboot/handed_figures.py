"""The figures of a rehearsed handover: sizes in bytes, addresses physical, times in seconds."""

from __future__ import annotations

from warmboot.memmap import Range
from warmboot.records import dataclass

__all__ = [
    "AnyHandedFigures",
    "ArrivedFigures",
    "ArrivedPart",
    "FileLoadFigures",
    "JumpFigures",
    "PlacedSegment",
    "PreserveFigures",
    "PreservedPart",
    "RetrieveFigures",
]


@dataclass(frozen=True, slots=True)
class PreservedPart:
    """Preserved memory of one owner, of a `kind` as `handover show` names it: "memfd", "test module", "LUO itself"."""

    name: str
    kind: str
    bytes: int


@dataclass(frozen=True, slots=True)
class PreserveFigures:
    """The first kernel, and what is preserved in it when the script has done its part.

    `seconds` are until its user space, `script_seconds` what the script took. `scratch` is what KHO keeps free for the
    next kernel. `problems` are structures that could not be read.
    """

    machine: str
    release: str
    seconds: float
    script_seconds: float
    ram: tuple[Range, ...]
    scratch: tuple[Range, ...]
    parts: tuple[PreservedPart, ...]
    bytes: int
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlacedSegment:
    """A segment where the first kernel put it, and where the model does; None where it does not."""

    mem: int
    memsz: int
    model: int | None


@dataclass(frozen=True, slots=True)
class FileLoadFigures:
    """The second kernel as the first one loaded it by kexec_file_load; sizes of its files.

    `segments` are what the kernel told of its places, where it tells: none before Linux 6.8. `model` is what the model
    says of the same call: empty where it loads too, else its refusal.
    """

    kernel: str
    kernel_bytes: int
    initrd_bytes: int
    command_line: str
    segments: tuple[PlacedSegment, ...]
    model: str = ""


@dataclass(frozen=True, slots=True)
class JumpFigures:
    """The second kernel: `seconds` from the call of reboot to its user space, and what it said of the handover."""

    release: str
    seconds: float
    taken_over: bool
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArrivedPart:
    """Memory of one owner, compared: `same` of `bytes`; `differs_at` are the first pages that differ.

    `name` is the session and token of a memfd where the second kernel tells them. `content` is False for what the
    kernel itself writes until it jumps.
    """

    name: str
    kind: str
    bytes: int
    same: int
    content: bool
    differs_at: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ArrivedFigures:
    """What of the preserved memory is the same in the second kernel, byte for byte, before its user space begins.

    `content` bytes belong to users of the handover, `same` of them are as they were.
    """

    parts: tuple[ArrivedPart, ...]
    content: int
    same: int
    sessions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RetrieveFigures:
    """How the script ended in the second kernel, and its last words."""

    status: int
    seconds: float
    last_words: tuple[str, ...]


AnyHandedFigures = PreserveFigures | FileLoadFigures | JumpFigures | ArrivedFigures | RetrieveFigures

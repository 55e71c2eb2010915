"""The figures of a rehearsed crash: sizes in bytes, addresses physical unless said otherwise, times in seconds."""

from __future__ import annotations

from warmboot.memmap import Range
from warmboot.records import dataclass

__all__ = [
    "AnyCrashFigures",
    "CaptureFigures",
    "CrashFigures",
    "CrashLoadFigures",
    "DumpFigures",
    "NeedFigures",
    "ProcessorFigures",
    "ReserveFigures",
    "SearchFigures",
    "TrialFigures",
]


@dataclass(frozen=True, slots=True)
class ReserveFigures:
    """The first kernel, and what it has reserved for `crashkernel`; `seconds` until its user space.

    `differs_from_facts` says where the machine is not as the facts that were given. `ram` is the machine's memory,
    where it is known.
    """

    machine: str
    release: str
    processors: int
    crashkernel: str
    reserved: tuple[Range, ...]
    seconds: float
    differs_from_facts: tuple[str, ...] = ()
    ram: tuple[Range, ...] = ()


@dataclass(frozen=True, slots=True)
class CrashLoadFigures:
    """The capture kernel as it was loaded by the system call `call`.

    `companion` bytes of the initrd are ours: what watches, and what saves where nobody else does.
    """

    call: str
    kernel: str
    kernel_bytes: int
    initrd_bytes: int
    companion_bytes: int
    command_line: str


@dataclass(frozen=True, slots=True)
class CrashFigures:
    """How the first kernel was made to crash, and its first words about it; `process` is who did it, 0 is nobody."""

    by: str
    message: str
    process: int


@dataclass(frozen=True, slots=True)
class NeedFigures:
    """What a capture kernel's memory went to, of `reserved` bytes.

    `kernel` is what is never free: the kernel, its memory map, what it is started with. `packed` is the initrd as it
    was loaded, given back once it is `unpacked`. `page_tables`, `slab` and `others` are at the start of user space,
    `user_peak` is what user space took beside it, the dump's saving included. `peak` is the most at any time.
    """

    reserved: int
    kernel: int
    packed: int
    unpacked: int
    page_tables: int
    slab: int
    others: int
    user_peak: int
    peak: int

    @property
    def spare(self) -> int:
        """Bytes that were never needed."""
        return self.reserved - self.peak


@dataclass(frozen=True, slots=True)
class CaptureFigures:
    """The capture kernel: seconds from the crash to its first line on the console, and to its user space."""

    release: str
    first_line_seconds: float | None
    user_space_seconds: float
    saved_seconds: float | None
    need: NeedFigures | None


@dataclass(frozen=True, slots=True)
class ProcessorFigures:
    """The registers of a processor as the dump has them, and the process that ran; `panicked` where it is that one.

    `function` is what it was in, by the dump's own symbols; empty in user space. `known` says where the values are that
    the rehearsal had put into registers: "registers", "stack" (of the kernel, where its entry saved them) or nowhere.
    """

    processor: int
    process: int
    panicked: bool
    registers: dict[str, int]
    function: str = ""
    known: str = ""


@dataclass(frozen=True, slots=True)
class DumpFigures:
    """The saved dump: its bytes, its pieces of memory, and what was found in it that the first kernel had put there.

    `pattern_at` are the addresses of the pattern that a process held. `compared` are bytes outside the reservation that
    are the same at the jump, after it and in the dump, of `comparable`; None where the jump was not seen. `cleared`
    of the others were cleared by the capture kernel's EFI code. `differs_at` are the addresses of the first of them.
    """

    path: str | None
    bytes: int
    pieces: int
    ram: int
    release: str
    panic: str
    message: bool
    pattern_at: tuple[int, ...]
    processors: tuple[ProcessorFigures, ...]
    compared: int | None = None
    comparable: int | None = None
    cleared: int = 0
    differs_at: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialFigures:
    """One try of `crashkernel`: whether the capture kernel saved its dump with so many bytes, and if not, why."""

    reserved: int
    works: bool
    seconds: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SearchFigures:
    """The smallest reservation that worked, exact to `step`, the margin, and the line for the boot loader."""

    smallest: int
    step: int
    margin: int
    why_margin: str
    crashkernel: str
    need: NeedFigures | None
    trials: tuple[TrialFigures, ...]


AnyCrashFigures = ReserveFigures | CrashLoadFigures | CrashFigures | CaptureFigures | DumpFigures | SearchFigures

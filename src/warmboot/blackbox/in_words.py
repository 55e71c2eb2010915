"""How far a kexec came, in words: from its black box or its marks in CMOS memory, and the notes of its load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from warmboot.blackbox.record import Box, BoxException, Stage
from warmboot.blackbox.state import Loaded
from warmboot.blackbox.this_boot import Start, ThisBoot
from warmboot.numbers import size_text
from warmboot.purgatory.cmos import CmosMarks
from warmboot.visible import visible

__all__ = ["ExceptionTold", "PieceTold", "Teller", "exception_told", "how_far"]

_EXCEPTIONS = {
    0: "division by zero",
    1: "debug exception",
    2: "non-maskable interrupt",
    3: "breakpoint",
    4: "overflow",
    5: "bound range exceeded",
    6: "invalid opcode",
    7: "device not available",
    8: "double fault",
    10: "invalid TSS",
    11: "segment not present",
    12: "stack fault",
    13: "general protection fault",
    14: "page fault",
    16: "floating-point error",
    17: "alignment check",
    18: "machine check",
    19: "SIMD floating-point error",
}
_PARTS = {
    "params": "the boot parameters",
    "purgat": "the purgatory",
    "cmdline": "the command line",
    "elfcore": "the dump's headers",
    "kernel": "the kernel",
    "initrd": "the initrd",
}
_WITNESS = "earlycon=uart8250,mmio,"  # the early console in the box itself, of which the next word is its address
_QUIET = {"quiet", "loglevel"}  # what keeps a kernel that starts well from printing
_PANIC = "Kernel panic - not syncing: "
_MINUTE, _HOUR, _DAY = 60, 3600, 86400  # seconds


@dataclass(frozen=True, slots=True)
class PieceTold:
    """A piece that the purgatory checks: its number from 1 on, physical address, bytes, and the segment it is of.

    `wanted` and `found` are its digests by `algorithm`, in hexadecimal; empty where they were not compared.
    """

    number: int
    of: int
    start: int
    size: int
    kind: str
    differs: bool
    algorithm: str
    wanted: str
    found: str


@dataclass(frozen=True, slots=True)
class ExceptionTold:
    """An exception before the kernel had its own interrupt table; `code` are the bytes there, in hexadecimal."""

    vector: int
    name: str
    stage: str
    error_code: int
    registers: dict[str, int]
    code: str


def how_far(box: Box) -> str:
    """How far it came, by the box alone, in words that go on after a name."""
    boot = ThisBoot(release="", boot_id="", started=0.0, start=Start.UNKNOWN)
    return Teller(box, None, boot, 0.0).came()


def exception_told(told: BoxException) -> ExceptionTold:
    """The same for a person."""
    name = _exception_name(told.vector)
    known = told.stage in Stage.__members__.values()
    stage = Stage(told.stage).name.lower() if known else str(told.stage)
    return ExceptionTold(told.vector, name, stage, told.error_code, dict(told.registers), told.code.hex())


def _exception_name(vector: int) -> str:
    return _EXCEPTIONS.get(vector, f"exception {vector}")


class Teller:
    """One load in words."""

    def __init__(
        self, box: Box | None, loaded: Loaded | None, boot: ThisBoot, now: float, marks: CmosMarks | None = None
    ) -> None:
        self._box, self._loaded, self._boot, self._now, self._marks = box, loaded, boot, now, marks
        self.stage: Stage | None = box.stage if box is not None else marks.stage if marks is not None else None
        self.loaded_at: float = box.template.loaded_at / 1e9 if box is not None else loaded.time if loaded else 0.0
        told = (box.template.loaded if box is not None else "") or (loaded.release or loaded.kernel if loaded else "")
        if told[:1].isdigit():  # a bzImage's version is a release, and then who built it
            told = told.split()[0]
        self.target: str = visible(told, most=80)

    @property
    def failed(self) -> bool:
        """Whether it was started and did not arrive, as far as that is known."""
        if self._is_this_boots() or self._arrived():
            return False
        if self._vector is not None:
            return True
        called = self._loaded is not None and self._loaded.called is not None
        return called or (self.stage is not None and self.stage >= Stage.CALLING)

    @property
    def printed(self) -> bool | None:
        """None where no early console in the box was asked for, so that nothing could have shown it."""
        if self._box is None or self.stage is None or self.stage < Stage.ENTERING:
            return None
        if self._box.printed:
            return True
        line = self._loaded.command_line.split() if self._loaded is not None else []
        asked = any(each.startswith(_WITNESS) for each in line) and not _QUIET & {each.split("=")[0] for each in line}
        return False if asked else None

    @property
    def may_have_spoken(self) -> bool:
        """Whether the new kernel may have come as far as its log; its release must be known."""
        return self.target[:1].isdigit() and (self.stage is None or self.stage >= Stage.ENTERING)

    @property
    def kernel_at(self) -> int:
        """The physical address that the kernel was loaded to, 0 where that is not known."""
        segments = self._box.template.segments if self._box is not None else ()
        return next((each.start for each in segments if each.kind == "kernel"), 0)

    def sentence(self, said: Sequence[str] = ()) -> str:
        """When, to what, and how far; `said` is the dead kernel's log."""
        if self._box is None and self._loaded is None and self._marks is not None:
            named = f"a load whose id begins with {self._marks.load_id.hex()}, of which no note is kept"
            return f"{named}: {self.came()}{self._ended()}"
        called = self._loaded.called if self._loaded is not None else None
        is_new = self.stage in (None, Stage.LOADED) and called is None and self._vector is None
        if is_new or self._is_this_boots():
            ago = _ago(self._now - self.loaded_at)
            return f"a kernel was loaded {ago}{self._to(' (')}, {self._not_started(is_new=is_new)}"
        when = _ago(self._now - (called or self.loaded_at))
        told = f"the last kexec, {'' if called is not None else 'loaded '}{when}{self._to(', to ')}: {self.came(said)}"
        return f"{told}{_panic(said)}{self._ended()}"

    def _to(self, before: str) -> str:
        return f"{before}{self.target}{')' if '(' in before else ''}" if self.target else ""

    def _not_started(self, *, is_new: bool) -> str:
        if not self._is_this_boots():
            return "and nothing shows that it was started"
        if not is_new:
            return "and was started, but the kernel that loaded it still runs: the call failed, or the other came back"
        return "and is not started yet" if self._boot.loaded is not False else "and is not loaded any more"

    def came(self, said: Sequence[str] = ()) -> str:
        """How far; `said` is the dead kernel's log."""
        box = self._box
        if self._arrived():
            return "user space of the new kernel was reached"
        if self.stage is None:
            return "it was called, and no black box tells how far it came"
        caught = self._caught()
        match self.stage:
            case Stage.LOADED | Stage.CALLING:
                told = "reboot was called, and no mark came after it"
            case Stage.RELOCATING:
                told = "the relocation began, and did not end"
            case Stage.RELOCATED:
                told = "relocation done; the purgatory did not begin"
            case Stage.PURGATORY:
                told = "relocation done; the purgatory began, and did not come to its checks"
            case Stage.CHECKING:
                told = f"relocation done; purgatory: {self._piece_in_words()}"
            case Stage.CHECKED:
                pieces = f"all {box.pieces} pieces" if box is not None else "every piece"
                told = f"the purgatory found {pieces} right, and did not come to the kernel"
            case _:
                at = f" at {box.template.entry:#x}" if box is not None else ""
                told = f"entered the kernel{at}, {self._words_of_kernel(said)}"
        return f"{told}{caught}"

    def _words_of_kernel(self, said: Sequence[str]) -> str:
        if said:
            return f"which wrote {len(said)} lines to its log"
        if self.printed:
            return "which came as far as its early console; user space did not report"
        if self.printed is False:
            return "which never printed"
        return "and nothing was heard of it"

    @property
    def _vector(self) -> int | None:
        """That of the exception which was caught."""
        if self._box is not None:
            return self._box.exception.vector if self._box.exception is not None else None
        return self._marks.vector if self._marks is not None else None

    def _caught(self) -> str:
        exception = self._box.exception if self._box is not None else None
        if exception is None:
            return f"; {_exception_name(self._vector)}" if self._vector is not None else ""
        told = exception_told(exception)
        at = exception.registers["rip"]
        asked = f", address {exception.registers['cr2']:#x}" if exception.vector == 14 else ""
        return f"; {told.name} at {at:#x}{asked}"

    def _ended(self) -> str:
        if self._boot.bitten is None or not self.failed:
            return ""
        asked = self._loaded is not None and self._loaded.rescue is not None
        return f"; the watchdog {'of --rescue ' if asked else ''}({visible(self._boot.bitten, most=60)}) reset it"

    def _piece_in_words(self) -> str:
        if self._marks is not None and self._marks.piece:
            return f"piece {self._marks.piece} differs"
        piece = self.piece()
        if piece is None:
            return "it was checking"
        what = f" ({_PARTS.get(piece.kind, piece.kind).removeprefix('the ')})" if piece.kind else ""
        if piece.differs:
            return f"piece {piece.number} of {piece.of}{what} differs"
        return f"it stopped in piece {piece.number} of {piece.of}{what}, {size_text(piece.size)}"

    def piece(self) -> PieceTold | None:
        """The piece that was being checked when it stopped."""
        box = self._box
        if box is None or box.stage is not Stage.CHECKING or not box.pieces:
            return None
        start, size = box.piece
        return PieceTold(
            min(box.pieces_checked + 1, box.pieces),
            box.pieces,
            start,
            size,
            next((visible(e.kind) for e in box.template.segments if e.start <= start < e.start + e.size), ""),
            box.differs,
            box.algorithm,
            box.wanted.hex() if box.differs else "",
            box.found.hex() if box.differs else "",
        )

    def _is_this_boots(self) -> bool:
        """Whether the kernel that loaded it still runs."""
        box, loaded = self._box, self._loaded
        boot_id = box.template.boot_id.hex() if box is not None else loaded.boot_id if loaded is not None else ""
        return bool(boot_id.strip("0")) and boot_id == self._boot.boot_id

    def _arrived(self) -> bool:
        """By its mark, or its notes; or as the kernel that runs was started by kexec, and after that load."""
        if self.stage is Stage.ARRIVED or (self._loaded is not None and self._loaded.arrived is not None):
            return True
        came = self.stage is None or self.stage >= Stage.ENTERING
        return (
            came
            and self._boot.start is Start.KEXEC
            and not self._is_this_boots()
            and (self.target == self._boot.release or not self.target[:1].isdigit())  # a file's name tells no release
        )


def _panic(said: Sequence[str]) -> str:
    """The last panic in a log."""
    panic = next((each for each in reversed(said) if each.startswith(_PANIC)), None)
    if panic is None:
        return ""
    return f"; it panicked: {visible(panic.removeprefix(_PANIC), most=120)}"


def _ago(seconds: float) -> str:
    if seconds < 0:
        return "some time ago (the clock has been set back since)"
    for unit, name in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds >= unit:
            count = int(seconds // unit)
            return f"{count} {name}{'s' * (count != 1)} ago"
    count = int(seconds)
    return f"{count} second{'s' * (count != 1)} ago"

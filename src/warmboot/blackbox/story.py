"""The last kexec as a story: how far it came, in a sentence; what it was; and what may have stopped it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from warmboot.blackbox.causes import Cause, causes, facts_of_this_computer
from warmboot.blackbox.last_words import LastWords
from warmboot.blackbox.memory import Found
from warmboot.blackbox.record import Box, BoxException, Stage
from warmboot.blackbox.state import Loaded
from warmboot.blackbox.this_boot import Start, ThisBoot
from warmboot.memmap import Facts
from warmboot.numbers import size_text
from warmboot.purgatory.cmos import CmosMarks
from warmboot.visible import visible

__all__ = ["ExceptionTold", "PieceTold", "Story", "how_far", "told_of"]

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
_LAST_WORDS, _AFTER_TROUBLE, _LATE = 12, 6, 120  # lines: told; of them after the trouble; where that is looked for
_TROUBLE = re.compile(r"Kernel panic - not syncing: |BUG: |Oops: |general protection fault|watchdog: ")
_PANIC = "Kernel panic - not syncing: "
_FIRST_LINES = 8  # of a log, one of which is the command line
_MOST_OF_A_LINE = 900  # characters: what printk has of a line that is longer than its limit
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The last kexec. `told` is the story in one sentence; members are None where that is not known.

    `where` the black box was read; `stage` is the last one that was marked, by the names of the stages; `seconds` are
    those from the first mark to each. Times are Unix time in seconds. `boot` says who started the running kernel
    ("kexec", "firmware", "unknown"), `failed` whether that load came to nothing. `printed` says whether the kernel came
    as far as its early console. `reset_by` is a watchdog that says it reset the machine. `log` is where the
    dead kernel's log was found, `last_words` are its last lines, or those around a panic.
    """

    told: str
    failed: bool
    where: str | None
    address: int | None = None
    load_id: str | None = None
    loaded_at: float | None = None
    called_at: float | None = None
    crash: bool = False
    running: str = ""
    loaded: str = ""
    kernel: str = ""
    initrds: tuple[str, ...] = ()
    command_line: str | None = None
    stage: str | None = None
    seconds: dict[str, float]
    printed: bool | None = None
    piece: PieceTold | None = None
    exception: ExceptionTold | None = None
    boot: str = ""
    rescue: int | None = None
    reset_by: str | None = None
    log: str | None = None
    last_words: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    problems: tuple[str, ...] = ()


def told_of(
    found: Found | None,
    loads: list[Loaded],
    boot: ThisBoot,
    problems: tuple[str, ...] = (),
    *,
    facts: Callable[[], Facts | None] = facts_of_this_computer,
    words: Callable[[str, int, float], LastWords | None] = lambda release, near, since: None,
    cmos: Callable[[], tuple[CmosMarks, str] | None] = lambda: None,
    now: float | None = None,
) -> Story:
    """The story of the newest load that is known: of the box that was `found`, with the notes of the same load, or of
    notes alone. `words` gives the log of a dead kernel of that release, which was loaded at that address
    and that time; `cmos` the marks in CMOS memory and where they were read, which count where there is no box of that
    load; `now` is Unix time, that of the clock unless it is given."""
    box = found.box if found is not None else None
    loaded = _notes_of(box, loads)
    if box is not None and loads and loaded is not loads[0] and (loaded or _is_before(box, loads[0])):
        box, found, loaded = None, None, loads[0]  # a newer load, without a box
    marks, where = (_marks_of(loaded, cmos()) if box is None else None) or (None, None)
    if box is None and loaded is None and marks is None:
        nothing = "nothing is known of a kexec: there is no black box, and no note of a load"
        return Story(told=nothing, failed=False, where=None, seconds={}, boot=boot.start.value, problems=problems)
    teller = _Teller(box, loaded, boot, time.time() if now is None else now, marks)
    failed = teller.failed
    log = words(teller.target, teller.kernel_at, teller.loaded_at) if failed and teller.may_have_spoken else None
    log = log if log is not None and _is_of(log.lines, loaded) else None
    said = log.lines if log is not None else ()
    template = box.template if box is not None else None
    return Story(
        told=teller.sentence(said),
        failed=failed,
        where=found.where if found is not None else where,
        address=found.address if found is not None else None,
        load_id=template.load_id.hex() if template else loaded.load_id if loaded else None,
        loaded_at=teller.loaded_at or None,
        called_at=loaded.called if loaded else None,
        crash=template.crash if template else False,
        running=visible(template.running if template else loaded.running if loaded else "", most=80),
        loaded=teller.target,
        kernel=visible(loaded.kernel, most=400) if loaded else "",
        initrds=tuple(visible(each, most=400) for each in loaded.initrds) if loaded else (),
        command_line=loaded.command_line if loaded else None,
        stage=teller.stage.name.lower() if teller.stage is not None else None,
        seconds=_seconds(box) if box is not None else {},
        printed=teller.printed,
        piece=teller.piece() if box is not None else None,
        exception=_exception(box.exception) if box is not None and box.exception is not None else None,
        boot=boot.start.value,
        rescue=loaded.rescue if loaded else None,
        reset_by=visible(boot.bitten, most=80) if boot.bitten is not None else None,
        log=log.where if log is not None else None,
        last_words=tuple(visible(each, most=400) for each in _last_of(said)),
        causes=causes(box, loaded, boot, facts(), said, marks) if failed else (),
        problems=problems,
    )


def how_far(box: Box) -> str:
    """How far it came, by the box alone, in words that go on after a name."""
    boot = ThisBoot(release="", boot_id="", started=0.0, start=Start.UNKNOWN)
    return _Teller(box, None, boot, 0.0).came()


def _is_of(said: Sequence[str], loaded: Loaded | None) -> bool:
    """Whether a log is of that load: an older kernel's may have outlived several resets."""
    lines = (each.partition("ommand line: ")[2].strip() for each in said[:_FIRST_LINES] if "ommand line: " in each)
    told = next(lines, None)
    if told is None or loaded is None:
        return True
    return told[:_MOST_OF_A_LINE] == loaded.command_line.strip()[:_MOST_OF_A_LINE]


def _is_before(box: Box, loaded: Loaded) -> bool:
    """By the clock, where the notes, which are in order, have nothing of that box."""
    return box.template.loaded_at / 1e9 + 1 < loaded.time


def _notes_of(box: Box | None, loads: list[Loaded]) -> Loaded | None:
    if box is None:
        return loads[0] if loads else None
    return next((each for each in loads if each.load_id == box.template.load_id.hex()), None)


def _last_of(said: Sequence[str]) -> Sequence[str]:
    """The last lines of a log, those around its first trouble where there is one: registers follow, which tell less."""
    late = range(max(0, len(said) - _LATE), len(said))
    trouble = next((number for number in late if _TROUBLE.search(said[number])), len(said))
    end = min(len(said), max(_LAST_WORDS, trouble + _AFTER_TROUBLE))
    return said[max(0, end - _LAST_WORDS) : end]


def _marks_of(loaded: Loaded | None, read: tuple[CmosMarks, str] | None) -> tuple[CmosMarks, str] | None:
    """Nothing, where they are those of another load than the newest."""
    if read is None or loaded is None:
        return read
    return read if loaded.load_id.startswith(read[0].load_id.hex()) else None


def _seconds(box: Box) -> dict[str, float]:
    khz, stamps = box.template.tsc_khz, box.tsc
    if not khz or not stamps:
        return {}
    first = min(stamps.values())
    return {stage.name.lower(): (stamps[stage] - first) / khz / 1000 for stage in sorted(stamps)}


def _exception(told: BoxException) -> ExceptionTold:
    name = _exception_name(told.vector)
    known = told.stage in Stage.__members__.values()
    stage = Stage(told.stage).name.lower() if known else str(told.stage)
    return ExceptionTold(told.vector, name, stage, told.error_code, dict(told.registers), told.code.hex())


def _exception_name(vector: int) -> str:
    return _EXCEPTIONS.get(vector, f"exception {vector}")


class _Teller:
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
        told = _exception(exception)
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

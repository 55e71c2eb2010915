"""The last kexec as a story: how far it came, in a sentence; what it was; and what may have stopped it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from warmboot.blackbox.causes import Cause, causes, facts_of_this_computer
from warmboot.blackbox.in_words import ExceptionTold, PieceTold, Teller, exception_told
from warmboot.blackbox.last_words import LastWords
from warmboot.blackbox.memory import Found
from warmboot.blackbox.record import Box
from warmboot.blackbox.state import Loaded
from warmboot.blackbox.this_boot import ThisBoot
from warmboot.memmap import Facts
from warmboot.purgatory.cmos import CmosMarks
from warmboot.visible import visible

__all__ = ["Story", "told_of"]

_LAST_WORDS, _AFTER_TROUBLE, _LATE = 12, 6, 120  # lines: told; of them after the trouble; where that is looked for
_TROUBLE = re.compile(r"Kernel panic - not syncing: |BUG: |Oops: |general protection fault|watchdog: ")
_FIRST_LINES = 8  # of a log, one of which is the command line
_MOST_OF_A_LINE = 900  # characters: what printk has of a line that is longer than its limit


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
    teller = Teller(box, loaded, boot, time.time() if now is None else now, marks)
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
        exception=exception_told(box.exception) if box is not None and box.exception is not None else None,
        boot=boot.start.value,
        rescue=loaded.rescue if loaded else None,
        reset_by=visible(boot.bitten, most=80) if boot.bitten is not None else None,
        log=log.where if log is not None else None,
        last_words=tuple(visible(each, most=400) for each in _last_of(said)),
        causes=causes(box, loaded, boot, facts(), said, marks) if failed else (),
        problems=problems,
    )


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

"""What was compared: of what kind each call was, told by itself and by what the kernel was like before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from warmboot.kernel import Kernel, KexecError
from warmboot.oracle.calls.trace import MAPPED_LIMIT, Answer, CrashSize, KexecLoad, Operation, Sysctl
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE, KexecFlags

__all__ = ["Coverage", "Kind", "State"]


class Kind(StrEnum):
    """Kinds of calls of which a configuration may promise some; a call may be of several."""

    ENTRY_64 = "64-bit entry"
    ENTRY_32 = "32-bit entry"
    NORMAL = "normal image loaded"
    CRASH = "crash image loaded"
    CRASH_LOW = "crash image loaded below 4 GiB"
    CRASH_HIGH = "crash image loaded above 4 GiB"
    UNLOADED = "image unloaded"
    FAULT_FIRST = "normal image whose source faults in the first of several pages"
    FAULT_MIDDLE = "normal image whose source faults in a middle page"
    FAULT_LAST = "normal image whose source faults in the last page"
    CRASH_FAULT_FIRST = "crash image whose source faults in the first of several pages"
    CRASH_FAULT_MIDDLE = "crash image whose source faults in a middle page"
    CRASH_FAULT_LAST = "crash image whose source faults in the last page"
    BELOW_HALF = "image of half of memory less a page, loaded"
    HALF = "image of exactly half of memory, loaded"
    ABOVE_HALF = "image of half of memory and a page, refused"
    NOBODY = "caller without capabilities, refused"
    NO_RESERVATION = "crash image without a reservation, refused"
    LOCKED_DOWN = "refused by lockdown"
    DISABLED = "refused as loading is disabled"
    LIMIT_COUNTED = "load limit counted down"
    LIMIT_REACHED = "refused by a load limit that is used up"
    NO_LIMITS = "load limit that this release has not"
    SHRUNK = "reservation shrunk"
    SHRUNK_LOW = "low reservation shrunk"
    LOW_LEFT = "high reservation given up, the low one left"
    SHRUNK_TO_NOTHING = "reservation shrunk to nothing"
    CRASH_SHRUNK = "crash image loaded into a shrunk reservation"
    SHRINK_LOADED = "shrinking with a crash image loaded, refused"
    GROW = "growing the reservation, refused"
    BUSY = "refused as another caller holds the lock"


@dataclass(frozen=True, slots=True)
class State:
    """What of a kernel's state tells of what kind the next call is."""

    half: int  # pages
    crash_size: int  # bytes
    low_size: int  # of the part below 4 GiB, where it can shrink
    limits: tuple[int, int]

    @classmethod
    def of(cls, kernel: Kernel) -> State:
        """As it is now."""
        crash = kernel.crash
        return cls(
            kernel.totalram_pages // 2,
            crash.size,
            crash.crashk_low_res.size if crash.crashk_low_res and kernel.profile.shrinks_low_reservation else 0,
            (kernel.kexec_load_limit_reboot, kernel.kexec_load_limit_panic),
        )


@dataclass(slots=True)
class Coverage:
    """How many calls of each kind agreed, and how many were refused by each rule."""

    kinds: Counter[Kind] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    crash_size: int = 0  # bytes of the reservation before it shrank

    def add(self, before: State, operation: Operation, answer: Answer, error: KexecError | None) -> None:
        """Count one call; `error` is the model's reason, if it was refused."""
        self.crash_size = max(self.crash_size, before.crash_size)
        if error is not None:
            self.rules[error.rule.name] += 1
        found = set(_kinds(before, operation, answer, error))
        if Kind.CRASH in found and before.crash_size < self.crash_size:
            found.add(Kind.CRASH_SHRUNK)
        self.kinds.update(found)

    def update(self, other: Coverage) -> None:
        """Count all of another's."""
        self.kinds.update(other.kinds)
        self.rules.update(other.rules)


_REFUSALS = {
    "cap_sys_boot": Kind.NOBODY,
    "lockdown": Kind.LOCKED_DOWN,
    "kexec_load_disabled": Kind.DISABLED,
    "kexec_load_limit": Kind.LIMIT_REACHED,
    "crash_image_loaded": Kind.SHRINK_LOADED,
    "crash_size": Kind.GROW,
    "kexec_trylock": Kind.BUSY,
}


def _kinds(before: State, operation: Operation, answer: Answer, error: KexecError | None) -> Iterator[Kind]:
    rule = error.rule.name if error else ""
    if rule in _REFUSALS:
        yield _REFUSALS[rule]
    if isinstance(operation, KexecLoad):
        yield from _load(before, operation, answer, error)
    elif isinstance(operation, Sysctl):
        if rule == "sysctl_name" and operation.name in _LIMITS:
            yield Kind.NO_LIMITS
    elif isinstance(operation, CrashSize) and answer.ret == 0 and answer.kexec_crash_size is not None:
        yield from _shrunk(before, int(answer.kexec_crash_size))


_LIMITS = ("kernel.kexec_load_limit_reboot", "kernel.kexec_load_limit_panic")


def _shrunk(before: State, size: int) -> Iterator[Kind]:
    if size < before.crash_size:
        yield Kind.SHRUNK
        if size < before.low_size:
            yield Kind.SHRUNK_LOW
        if size == before.low_size != 0:
            yield Kind.LOW_LEFT
        if size == 0:
            yield Kind.SHRUNK_TO_NOTHING


def _load(before: State, call: KexecLoad, answer: Answer, error: KexecError | None) -> Iterator[Kind]:
    rule = error.rule.name if error else ""
    yield Kind.ENTRY_32 if call.abi == "i386" else Kind.ENTRY_64
    on_crash = bool(call.flags & KexecFlags.ON_CRASH)
    if before.limits[on_crash] > 0 and rule not in ("cap_sys_boot", "kexec_load_disabled"):
        yield Kind.LIMIT_COUNTED
    if on_crash and before.crash_size == 0 and rule == "crash_entry":
        yield Kind.NO_RESERVATION
    if answer.ret == 0:
        yield from _accepted(before, call, on_crash=on_crash)
    elif rule == "source_buffer" and error is not None and error.segment is not None:
        yield from _fault(call, error.segment, on_crash=on_crash)
    elif rule == "half_of_memory" and sum(each.memsz >> PAGE_SHIFT for each in call.segments) == before.half + 1:
        yield Kind.ABOVE_HALF


def _accepted(before: State, call: KexecLoad, *, on_crash: bool) -> Iterator[Kind]:
    cut = 0xFFFF_FFFF if call.abi == "i386" else ~0  # by the 32-bit entry
    segments = call.segments[: call.nr_segments & cut]
    if not segments:
        yield Kind.UNLOADED
    elif on_crash:
        yield Kind.CRASH
        yield Kind.CRASH_HIGH if segments[0].mem & cut >= 1 << 32 else Kind.CRASH_LOW
    else:
        yield Kind.NORMAL
        pages = sum(each.memsz >> PAGE_SHIFT for each in segments)
        if pages == before.half:
            yield Kind.HALF
        elif pages == before.half - 1:
            yield Kind.BELOW_HALF


_FAULTS = {
    False: (Kind.FAULT_FIRST, Kind.FAULT_MIDDLE, Kind.FAULT_LAST),
    True: (Kind.CRASH_FAULT_FIRST, Kind.CRASH_FAULT_MIDDLE, Kind.CRASH_FAULT_LAST),
}


def _fault(call: KexecLoad, number: int, *, on_crash: bool) -> Iterator[Kind]:
    """In which page of the source: page by page is how Linux copies it."""
    if number >= len(call.segments):
        return
    segment = call.segments[number]
    pages = -(-segment.bufsz // PAGE_SIZE)
    readable = MAPPED_LIMIT if segment.buf.at == "mapped" else segment.buf.size  # 0 where nothing can be read
    page = readable // PAGE_SIZE
    if pages > 1:
        yield _FAULTS[on_crash][0 if page == 0 else 2 if page == pages - 1 else 1]

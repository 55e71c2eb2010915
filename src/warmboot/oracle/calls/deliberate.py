"""Operations that no chance shall leave out: sources that fault, half of memory, shrinking, limits, other callers.

Each function yields operations for a kernel that plays them as they come: what it does next may depend on that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from warmboot.kernel import Kernel
from warmboot.oracle.calls.trace import Buffer, CrashSize, KexecLoad, Operation, Sysctl, TraceSegment
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE, KexecArch, KexecFlags

__all__ = ["FAR", "KEPT_FREE", "UNLOAD", "UNLOAD_CRASH", "Schedule", "deliberate"]

_X86_64 = int(KexecArch.X86_64)
_CRASH = _X86_64 | int(KexecFlags.ON_CRASH)
UNLOAD = KexecLoad("x86_64", 0, _X86_64, 0, ())
UNLOAD_CRASH = KexecLoad("x86_64", 0, _CRASH, 0, ())
# Debian's kernels need about 100 MiB for themselves and the agent; what is beyond ends in the OOM killer.
KEPT_FREE = 160 << 20
FAR = 1 << 36  # a physical address behind all memory: Linux slows down where large destinations are RAM
_LOAD = KexecLoad("x86_64", 0x1000000, _X86_64, 1, (TraceSegment(Buffer(), 1, 0x1000000, PAGE_SIZE),))
_MUCH = 4 << 30  # bytes: clearing them takes an emulated machine seconds
_REBOOT, _PANIC = "kernel.kexec_load_limit_reboot", "kernel.kexec_load_limit_panic"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When what cannot be taken back is done, each as a part of all operations; from 1 on it is never done."""

    shrinks: float = 0.3  # from here on the reservation shrinks at random
    shrinking: float = 0.008  # how often
    steps: tuple[float, ...] = (0.4,)  # a few pages less, and images at the new end
    stops_at_low: bool = False  # of a high and a low reservation, exactly the low one is left
    limits: float = 0.91  # the load limits are set, and counted down
    disabled: float = 0.97  # loading is disabled


def deliberate(kernel: Kernel, count: int, schedule: Schedule) -> list[tuple[float, Callable[[], Iterator[Operation]]]]:
    """When to do what, of `count` operations, in order."""
    before = 0.1 * min(schedule.disabled, 1)
    loads = int(count * 0.3 * (min(schedule.disabled, 1) - schedule.limits))
    found: list[tuple[float, Callable[[], Iterator[Operation]]]] = [
        (before, lambda: _faults(kernel)),
        (2 * before, lambda: _callers(kernel)),
        (3 * before, lambda: _halves(kernel)),
        *((each, lambda: _steps(kernel, stops_at_low=schedule.stops_at_low)) for each in schedule.steps),
        (schedule.limits - 0.03, lambda: _halves(kernel)),
        (schedule.limits - 0.02, _nothing_left),
        (schedule.limits, lambda: _limits(kernel, max(loads, 4))),
        (schedule.disabled, lambda: _disabled(kernel)),
    ]
    return sorted((each for each in found if each[0] < 1), key=lambda each: each[0])


def _crash_load(kernel: Kernel, *segments: TraceSegment) -> KexecLoad:
    return KexecLoad("x86_64", kernel.crash.start, _CRASH, len(segments), segments)


def _faults(kernel: Kernel) -> Iterator[Operation]:
    """Sources of several pages that end in their first, a middle and their last page; before them one that does not."""
    area = kernel.crash.crashk_res
    yield _LOAD  # which stays loaded, as no other succeeds
    for pages in (3, 1000):
        whole = TraceSegment(Buffer(), PAGE_SIZE, 0x1000000, PAGE_SIZE)
        for readable in (0, pages // 2 * PAGE_SIZE, pages * PAGE_SIZE - 1, 1, PAGE_SIZE - 1, (pages - 1) * PAGE_SIZE):
            short = TraceSegment(Buffer("edge", readable), pages * PAGE_SIZE, 0x2000000, pages * PAGE_SIZE)
            yield KexecLoad("x86_64", 0, _X86_64, 2, (whole, short))
            if area is not None and area.size > 4 << 20:
                inside = short._replace(mem=area.start + (16 << PAGE_SHIFT))
                yield _crash_load(kernel, whole._replace(mem=area.start), inside)


def _callers(kernel: Kernel) -> Iterator[Operation]:
    """Calls of a process without capabilities, right and wrong ones; the images of others stay."""
    crash = _crash_load(kernel, TraceSegment(Buffer(), 1, kernel.crash.start, PAGE_SIZE))
    yield from (_LOAD, crash)
    for each in (_LOAD, crash, UNLOAD, UNLOAD_CRASH, _LOAD._replace(flags=0xFFFF), _LOAD._replace(table="null")):
        yield each._replace(nobody=True)
    yield from (UNLOAD, UNLOAD_CRASH)


def _halves(kernel: Kernel) -> Iterator[Operation]:
    """Images of a page less than half of memory, exactly half, and a page more; in one segment and in several."""
    half = kernel.totalram_pages // 2
    room = kernel.totalram_pages * PAGE_SIZE - KEPT_FREE
    for pages, parts in ((half - 1, 1), (half, 1), (half, 3), (half + 1, 1), (half + 1, 3)):
        if pages <= half and (pages * PAGE_SIZE > room or parts * pages * PAGE_SIZE > _MUCH):
            continue
        sizes = [pages // parts] * (parts - 1)
        mem, segments = FAR, []
        for size in (pages - sum(sizes), *sizes):
            segments.append(TraceSegment(Buffer(), 1, mem, size * PAGE_SIZE))
            mem += size * PAGE_SIZE
        yield from (UNLOAD, KexecLoad("x86_64", 0x100000, _X86_64, parts, tuple(segments)), UNLOAD)


def _steps(kernel: Kernel, *, stops_at_low: bool) -> Iterator[Operation]:
    """The reservation a few pages smaller each time, with images at its end and beyond, and refusals."""
    crash, low = kernel.crash, kernel.crash.crashk_low_res
    boundary = [low.size + 64 * PAGE_SIZE, low.size - (0 if stops_at_low else PAGE_SIZE)] if low else []
    for wanted in (crash.size - PAGE_SIZE, crash.size - 17 * PAGE_SIZE, crash.size - 20 * PAGE_SIZE + 1, *boundary):
        yield UNLOAD_CRASH
        yield CrashSize(str(wanted))
        area = crash.crashk_res
        if area is None:
            return
        last = TraceSegment(Buffer(), PAGE_SIZE, area.end - PAGE_SIZE, PAGE_SIZE)
        fits, beyond = _crash_load(kernel, last), _crash_load(kernel, last._replace(memsz=2 * PAGE_SIZE))
        yield from (fits, CrashSize(str(wanted)), CrashSize(str(max(wanted - PAGE_SIZE, 0))), beyond)
        yield from (CrashSize(str(crash.size)), CrashSize(str(crash.size + PAGE_SIZE)))
        yield fits._replace(entry=area.end)


def _nothing_left() -> Iterator[Operation]:
    yield from (UNLOAD_CRASH, CrashSize("0"), CrashSize("0"), CrashSize("4096"))
    yield KexecLoad("x86_64", 0, _CRASH, 1, (TraceSegment(Buffer(), 1, 0, PAGE_SIZE),))


def _limits(kernel: Kernel, loads: int) -> Iterator[Operation]:
    """Limits that the calls to come will use up."""
    for name, left in ((_REBOOT, loads), (_PANIC, loads // 2)):
        yield from (Sysctl(name, str(text)) for text in (left, left, left + 1, -1))
    yield from (_LOAD, _LOAD._replace(nr_segments=17), UNLOAD, _crash_load(kernel), _LOAD._replace(nobody=True))


def _disabled(kernel: Kernel) -> Iterator[Operation]:
    """With both images loaded if that can be: they stay, and nothing can replace or unload them."""
    crash = _crash_load(kernel, TraceSegment(Buffer(), 1, kernel.crash.start, PAGE_SIZE))
    yield from (_LOAD, crash, Sysctl(_REBOOT, "0"), Sysctl(_PANIC, "0"), _LOAD, crash)
    yield Sysctl("kernel.kexec_load_disabled", "1")
    for each in (_LOAD, crash, UNLOAD, UNLOAD_CRASH):
        yield from (each, each._replace(nobody=True), each._replace(flags=each.flags | 0x10))
    yield from (Sysctl("kernel.kexec_load_disabled", text) for text in ("0", "1"))
    yield CrashSize("0")  # which a crash image that stays loaded forbids

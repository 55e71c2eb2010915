"""Two callers at once: what a kernel answers to one while another is inside kexec_load, and holds its lock.

A trace cannot say this, as its calls come one after the other. Nothing is left to chance: the first caller stops at
a page of its source that nobody gives it, in the guest by userfaultfd, in the model by a source that plays the
second caller's operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from warmboot.kernel import KexecError, Profile
from warmboot.memmap import Facts, Range
from warmboot.oracle.calls.file_trace import Argument, FileSource, KexecFileLoad
from warmboot.oracle.calls.recorder import Hold, Playable, Reboot, Release, record
from warmboot.oracle.calls.replay import Player
from warmboot.oracle.calls.trace import Answer, Buffer, CrashSize, KexecLoad, Sysctl, TraceSegment
from warmboot.uapi import PAGE_SIZE, KexecArch, KexecFileFlags, KexecFlags

__all__ = ["APPEND", "HELD", "callers", "compare_callers", "play"]

APPEND = "crashkernel=16M@512M"  # to the machine's command line: where it is need not be asked first
HELD = Buffer("held")
_X86_64 = int(KexecArch.X86_64)
_CRASH = _X86_64 | int(KexecFlags.ON_CRASH)


def callers() -> list[Playable]:
    """The first caller loads a normal image, then a crash image; the second tries all that it can meanwhile.

    The machine has the reservation of APPEND.
    """
    area = Range(512 << 20, 528 << 20)
    ready = TraceSegment(Buffer(), 1, 0x1000000, PAGE_SIZE)
    held = TraceSegment(HELD, PAGE_SIZE, 0x2000000, 2 * PAGE_SIZE)
    load = KexecLoad("x86_64", 0, _X86_64, 1, (ready,))
    crash = KexecLoad("x86_64", area.start, _CRASH, 1, (ready._replace(mem=area.start),))
    unload, unload_crash = (each._replace(nr_segments=0, segments=()) for each in (load, crash))
    file = KexecFileLoad(FileSource("closed"), FileSource("closed"), Argument(), 0, 0)
    second: list[Playable] = [
        *(file._replace(flags=int(flags)) for flags in (0, KexecFileFlags.UNLOAD, KexecFileFlags.ON_CRASH, 1 << 20)),
        *(load, crash, unload, unload_crash, Reboot()),
        *(each._replace(abi="i386") for each in (load, crash, unload)),
        *(load._replace(nobody=True), load._replace(nr_segments=17), load._replace(flags=_X86_64 | 0x10)),
        *(load._replace(flags=1 << 16), load._replace(table="null"), load._replace(segments=(ready, ready))),
        *(crash._replace(entry=0), load._replace(segments=(ready._replace(mem=1),))),
        *(CrashSize(text) for text in (str(area.size), str(area.size - PAGE_SIZE), "0", f"{1 << 40}", "x", "")),
        *(Sysctl("kernel.kexec_load_limit_reboot", text) for text in ("1000", "-1")),
        *(Sysctl("kernel.kexec_load_disabled", text) for text in ("0", "")),
    ]
    found: list[Playable] = []
    for first, before in ((load, unload), (load, load), (crash, unload_crash), (crash, crash)):
        mem = held.mem if first is load else area.start + (16 << 12)
        both = (*first.segments, held._replace(mem=mem))
        hold = Hold(first._replace(segments=both, nr_segments=2))
        found += [before, hold, *second, Release(), unload, unload_crash]
    return [*found, Reboot(), CrashSize(str(area.size - PAGE_SIZE))]


def compare_callers(kernel: Path) -> list[tuple[Playable, Answer, Answer]]:
    """Each answered operation with a real kernel's answer and the model's. Raises GuestError."""
    operations = callers()
    facts, answers = record(kernel, operations, append=APPEND)
    asked = [each for each in operations if not isinstance(each, Hold)]
    return list(zip(asked, answers, play(facts, operations), strict=True))


def play(facts: Facts, operations: Sequence[Playable], profile: Profile | None = None) -> list[Answer]:
    """The model's answers, in the order in which the guest gives them: the held call's comes with its release."""
    answers: list[Answer] = []
    # With contents: a memory that forgets would never read the source.
    with Player(facts, profile) as player:
        rest = iter(operations)

        def one(operation: Playable) -> Answer:
            match operation:
                case Hold():
                    player.sources[HELD] = _Stopping(until_release)
                    return player.play(operation.call)
                case Reboot():
                    try:
                        player.kernel.reboot()
                    except KexecError as error:
                        return player.answer(-error.errno)
                    raise AssertionError("a reboot that is played is one that is refused")
                case Release():
                    raise AssertionError("nothing is held")
                case _:
                    return player.play(operation)

        def until_release() -> None:
            for operation in rest:
                if isinstance(operation, Release):
                    return
                answers.append(one(operation))

        for operation in rest:
            answers.append(one(operation))
    return answers


@dataclass(slots=True)
class _Stopping:
    """A source of zeros; where its first byte is read, `stop` is called first, once."""

    stop: Callable[[], None] | None
    readable: int = PAGE_SIZE

    def pieces(self, offset: int, size: int) -> Iterator[memoryview]:
        if self.stop is not None:
            stop, self.stop = self.stop, None
            stop()
        yield memoryview(bytes(size))

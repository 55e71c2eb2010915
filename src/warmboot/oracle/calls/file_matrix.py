"""The configurations under which calls of files are compared with a kernel: kexec_file_load, and live updates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from warmboot.memmap import Facts
from warmboot.oracle.calls.contents import Contents
from warmboot.oracle.calls.deliberate import Schedule
from warmboot.oracle.calls.deliberate_files import deliberate_files
from warmboot.oracle.calls.fuzz import (
    Target,
    compare_answers,
    generated_file_loads,
    generated_live_updates,
    read_kernel,
)
from warmboot.oracle.calls.recorder import record
from warmboot.oracle.calls.replay import Disagreement
from warmboot.oracle.calls.trace import Answer, Operation, Sysctl, errno_name

__all__ = ["FILE_CELLS", "HANDOVER_CELLS", "ComparedFiles", "FileCell"]

_GIB = 1 << 30
# bzImage64's loader says of each file what is wrong with it, on a serial line; a busy machine is late with the timer.
_QUIET = "loglevel=1 no_timer_check"
_HANDOVER = "kho=on liveupdate=on"


@dataclass(frozen=True, slots=True)
class ComparedFiles:
    """One configuration's outcome; `refusals` counts those that both agree on, by errno and rule."""

    facts: Facts
    operations: list[Operation]
    answers: list[Answer]
    results: list[Disagreement | None]
    refusals: Counter[str]
    contents: Contents


@dataclass(frozen=True, slots=True)
class FileCell:
    """A machine of `memory` bytes with `append` on its command line, and how many calls of which kind.

    `first` are sysctls that are written before; with a `schedule` half of the calls are kexec_load and what else
    changes the kernel's state. Where no call is random, `deliberate` is the size of the reservation in bytes. One guest
    plays at most `a_guest` calls.
    """

    name: str
    append: str
    calls: int
    live_updates: bool = False
    memory: int = _GIB
    a_guest: int = 4000
    first: tuple[Sysctl, ...] = field(default=())
    schedule: Schedule | None = None
    deliberate: int | None = None

    @property
    def slug(self) -> str:
        """The name as part of a file's."""
        return self.name.replace(",", "").replace(" ", "-")

    def run(
        self, kernel: Path, seed: int, calls: int | None = None, progress: Callable[[], None] | None = None
    ) -> list[ComparedFiles]:
        """Generate, record and compare, guest by guest; `progress` is called at each answer. Raises GuestError."""
        left = self.calls if calls is None else calls
        found: list[ComparedFiles] = []
        while left > 0:
            found.append(self._guest(kernel, seed + len(found), min(left, self.a_guest), progress))
            left -= self.a_guest
        return found

    def _guest(self, kernel: Path, seed: int, calls: int, progress: Callable[[], None] | None) -> ComparedFiles:
        target = Target(kernel, self.memory, f"{self.append} {_QUIET}".strip())
        if self.live_updates:
            operations = generated_live_updates(target, seed, calls)
        elif self.deliberate is not None:
            operations = list(islice(deliberate_files(read_kernel(kernel), target.contents, self.deliberate), calls))
        else:
            operations = [*self.first, *generated_file_loads(target, seed, calls, self.schedule)]
        facts, answers = record(
            kernel,
            operations,
            memory=self.memory,
            append=target.append,
            contents=target.contents,
            progress=progress,
        )
        results, coverage = compare_answers(facts, operations, answers, contents=target.contents)
        refusals = Counter(errno_name(each.ret) for each in answers) + coverage.rules
        return ComparedFiles(facts, operations, answers, results, refusals, target.contents)


# Only the reservation changes, and loading stays allowed.
_SHRINKING = Schedule(steps=(0.2, 0.4, 0.6), limits=2, disabled=2)
_AT_THE_END = "memmap=64K$0x20000000 crashkernel=16M@496M"  # of a range of RAM
# On Debian's kernels.
FILE_CELLS: Sequence[FileCell] = (
    FileCell("files", "crashkernel=16M", 4000),
    FileCell("files, among other calls", "crashkernel=16M", 2500, schedule=Schedule()),
    FileCell("files, no reservation", "", 1500),
    FileCell("files, reservation of 2 MiB", "crashkernel=2M", 1500, schedule=_SHRINKING),
    FileCell("files, high reservation, 5 GiB", "crashkernel=32M,high", 1500, memory=5 * _GIB, schedule=_SHRINKING),
    FileCell("files, 256 MiB", "crashkernel=16M", 1500, memory=256 << 20),
    FileCell("files, deliberate", _AT_THE_END, 500, deliberate=16 << 20),
    FileCell("files, contiguous memory", "crashkernel=16M cma=16M", 1500),
    FileCell("files, 4-level tables", "crashkernel=16M no5lvl", 1500),
    FileCell("files, lockdown integrity", "crashkernel=16M lockdown=integrity", 600),
    FileCell("files, lockdown confidentiality", "crashkernel=16M lockdown=confidentiality", 600),
    FileCell("files, disabled", "crashkernel=16M", 300, first=(Sysctl("kernel.kexec_load_disabled", "1"),)),
    FileCell(
        "files, limits",
        "crashkernel=16M",
        600,
        first=(Sysctl("kernel.kexec_load_limit_reboot", "60"), Sysctl("kernel.kexec_load_limit_panic", "30")),
    ),
)
# On a kernel with KHO and LUO.
HANDOVER_CELLS: Sequence[FileCell] = (
    FileCell("live updates", _HANDOVER, 3000, live_updates=True, a_guest=1000),
    FileCell("live updates off", "kho=on", 100, live_updates=True),
    FileCell("files, handed over", f"{_HANDOVER} crashkernel=16M", 1900),
)

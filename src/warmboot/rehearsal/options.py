"""What is asked of a rehearsal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from warmboot.kernel.call import Call
from warmboot.memmap import Facts
from warmboot.placement.command_line import CommandLineRequest
from warmboot.purgatory.parameters import DIGESTS
from warmboot.records import dataclass, field

__all__ = ["CommandLineRequest", "Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """What to rehearse, on which machine. Times are seconds; `console` is where the console is written to.

    `unpack` are those parts of UNPACKABLE that are loaded unpacked. `modules` are a multiboot kernel's: each a path,
    and what its words are. `cpus` are those that boot, None for as many as show that a second one starts. `profile`
    names the release family whose rules count, None for the one that fits `facts`. With a `blackbox` the purgatory
    marks how far it comes in a page of its own, and what stopped it is told by that. With `panic` the image is loaded
    for a crash, and not started. With `timed` the purgatory and the kernel's first code speak on the serial port, so
    that the time before the kernel's console can be told apart.
    """

    kernel: Path
    facts: Facts
    initrds: Sequence[Path] = ()
    command_line: CommandLineRequest = field(default_factory=CommandLineRequest)
    modules: Sequence[str] = ()
    call: Call = Call.AUTO
    digest: str = DIGESTS[0]
    unpack: frozenset[str] = frozenset()
    blackbox: bool = True
    panic: bool = False
    profile: str | None = None
    cpus: int | None = None
    boot: bool = True
    until: str | None = None
    timeout: float = 120.0
    console: Path | None = None
    timed: bool = False

"""What a dump is of, and why there is one: the page that an administrator mails to the kernel's people."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.dump import arch
from warmboot.dump.bt import Backtrace
from warmboot.dump.interface import DumpError
from warmboot.dump.kallsyms import read_kallsyms
from warmboot.dump.log import read_log
from warmboot.dump.printk_ringbuffer import LogRecord
from warmboot.dump.source import note_facts, utsname
from warmboot.errors import WarmbootError

if TYPE_CHECKING:
    from warmboot.dump.source import Source

__all__ = ["DumpInfo", "ProcessorRegisters", "dump_info"]

# kernel/panic.c, taint_flags: the letter of each bit, and what it stands for (admin-guide/tainted-kernels.rst).
_TAINTS = (
    ("P", "proprietary module"),
    ("F", "module loaded by force"),
    ("S", "out of specification"),
    ("R", "module unloaded by force"),
    ("M", "machine check"),
    ("B", "bad page"),
    ("U", "user asked for it"),
    ("D", "oops or BUG before"),
    ("A", "ACPI table replaced"),
    ("W", "warning"),
    ("C", "staging driver"),
    ("I", "workaround for firmware"),
    ("O", "module from outside the tree"),
    ("E", "unsigned module"),
    ("L", "soft lockup"),
    ("K", "live patch"),
    ("X", "auxiliary"),
    ("T", "structure randomization"),
    ("N", "test"),
    ("J", "fwctl"),
)
_PANIC = re.compile(
    rb"Kernel panic - not syncing|BUG: |Oops|sysrq: Trigger a crash|general protection fault|Unable to handle kernel"
    rb"|watchdog: (?:BUG|Watchdog)|kernel BUG at|Hardware Error|NMI: "
)
_MOST_LINES = 8  # of what led to the panic


@dataclass(frozen=True, slots=True)
class ProcessorRegisters:
    """What a processor had in its registers, by pt_regs' names; none where it saved none. `where` is the function that
    "ip" lies in, empty for the address of a program."""

    cpu: int
    panicked: bool
    where: str
    registers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DumpInfo:
    """Times are in seconds; `crashed` since 1970, `uptime` since the boot, to the last message of the log.

    `memory` are the bytes that the machine had, `in_dump` those of them that the dump has. None is: not known.
    `problems` says what could not be read.
    """

    format: str
    complete: bool
    machine: str
    node: str
    release: str
    version: str
    crashed: int | None
    uptime: float | None
    processors: int
    memory: int
    in_dump: int
    panic: tuple[str, ...]
    taints: str | None
    taint_reasons: tuple[str, ...]
    kernel_offset: int | None  # of KASLR
    panicked: Backtrace | None  # what the processor that panicked did; None where that cannot be told
    registers: tuple[ProcessorRegisters, ...]  # of each processor that is present
    problems: tuple[str, ...]


def dump_info(source: Source) -> DumpInfo:
    """What can be told; what cannot is a problem, not an error."""
    problems: list[str] = [*source.problems]
    panicked, registers = _processors(source)
    names = [each.partition(b"\0")[0].decode("utf-8", "replace") for each in _fields(utsname(source))]
    records, problem = read_log(source)
    if problem is not None:
        problems.append(problem)
    mask: int | None = None
    try:
        address = read_kallsyms(source).address("tainted_mask")
        if address is not None:
            mask = int.from_bytes(source.virtual(address, 8), "little")
    except DumpError as error:
        problems.append(str(error))
    in_dump = sum(map(len, source.ranges.runs()))
    info = source.vmcoreinfo
    crashed = info.lines.get("CRASHTIME", "")
    offset = info.lines.get("KERNELOFFSET", "")
    reasons = [each for bit, each in enumerate(_TAINTS) if (mask or 0) >> bit & 1]
    return DumpInfo(
        format=type(source).__name__.removesuffix("Core").lower(),
        complete=source.whole and not source.cut_off,
        machine=source.machine,
        node=names[1],
        release=info.release or names[2],
        version=names[3],
        crashed=int(crashed) if crashed.isascii() and crashed.isdecimal() and len(crashed) < 19 else None,
        uptime=next((each.time / 1e9 for each in reversed(records) if each.time is not None), None),
        processors=max(len(registers), note_facts(source.notes)[0]),
        memory=in_dump + sum(map(len, source.left_out.runs())),
        in_dump=in_dump,
        panic=tuple(_panic(records)),
        taints=None if mask is None else "".join(letter for letter, _ in reasons),
        taint_reasons=tuple(what for _, what in reasons),
        kernel_offset=int(offset, 16) if re.fullmatch(r"[0-9a-f]{1,16}", offset) else None,
        panicked=panicked,
        registers=tuple(registers),
        problems=tuple(problems),
    )


def _processors(source: Source) -> tuple[Backtrace | None, list[ProcessorRegisters]]:
    """The chain of the panic, and registers. A kernel without types has none that can be told, which is no fault of
    the dump."""
    from warmboot.dump.dump import Dump  # noqa: PLC0415 - nobody else needs it

    found = list[ProcessorRegisters]()
    panicked = None
    try:
        stacks = Dump(source).backtraces
        for each in stacks.processors:
            registers: Mapping[str, int] = {}
            if each.prstatus:
                registers = arch.of(source.machine).processor(each.prstatus).registers
            symbol = stacks.symbol(registers["ip"]) if registers else None
            where = f"{symbol.name}+{symbol.offset:#x}" if symbol and symbol.name else ""
            found.append(ProcessorRegisters(each.number, each.panicked, where, registers))
            if each.panicked and panicked is None:
                panicked = stacks.processor(each)
    except WarmbootError:
        pass
    return panicked, found


def _fields(names: bytes) -> list[bytes]:
    return [names[at : at + 65] for at in range(0, len(names), 65)]


def _panic(records: Sequence[LogRecord]) -> list[str]:
    """The messages of the log that say what went wrong, the last ones."""
    found = [each.text.decode("utf-8", "replace") for each in records if _PANIC.search(each.text)]
    return found[-_MOST_LINES:]

"""Whether a dump is whole and sound, part by part, and what of it can be used in spite of what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from warmboot.dump.check_pages import PagesChecked, check_pages
from warmboot.dump.dump import Dump
from warmboot.dump.kdump_core import KdumpCore
from warmboot.dump.kernel_btf import read_btf
from warmboot.dump.log import read_log
from warmboot.dump.split_core import SplitCore
from warmboot.errors import WarmbootError
from warmboot.formats.elf import NOTE_HEADER_SIZE, notes

if TYPE_CHECKING:
    from warmboot.dump.source import Source

__all__ = ["DumpCheck", "Finding", "Soundness", "check_dump"]

_NEEDED_FOR = {"log": "dmesg", "symbols": "read", "tasks": "tasks", "modules": "modules", "calls": "bt"}


class Soundness(StrEnum):
    """What was found of a part."""

    SOUND = "sound"
    DAMAGED = "damaged"
    ABSENT = "absent"  # the kernel, or this format, has none: no fault of the dump


@dataclass(frozen=True, slots=True)
class Finding:
    """A part of a dump: headers, bitmaps, pages, notes, VMCOREINFO, log, symbols, types, tasks, modules, calls."""

    part: str
    soundness: Soundness
    what: str


@dataclass(frozen=True, slots=True)
class DumpCheck:
    """What a dump is worth. Sizes are in bytes; `cut_off` is memory that would be beyond the end of the file.

    `works` are the commands of `warmboot dump` that give all that they can, `fails` those that do not.
    """

    format: str
    memory: int
    cut_off: int
    pages: PagesChecked | None  # of kdump-compressed dumps, whose pages can be damaged one by one
    findings: tuple[Finding, ...]
    works: tuple[str, ...]
    fails: tuple[str, ...]
    sound: bool


def check_dump(source: Source, progress: Callable[[int, int], None] | None = None) -> DumpCheck:
    """Look at everything. `progress` is told how many bytes of pages were looked at, of how many."""
    findings = list(_headers(source))
    pages = check_pages(source, progress)
    if pages is not None:
        bad = pages.lost + pages.damaged + pages.beyond
        what = f"{pages.sound} of {pages.sound + bad} unpack" + "".join(f"; {each}" for each in pages.problems[:3])
        findings.append(Finding("pages", Soundness.DAMAGED if bad else Soundness.SOUND, what))
    findings += [_notes(source), _vmcoreinfo(source)]
    dump = Dump(source)
    looks = {"log": _log, "symbols": _symbols, "types": _types, "tasks": _tasks, "modules": _modules, "calls": _calls}
    for part, look in looks.items():
        try:
            soundness, what = look(dump)
        except WarmbootError as error:
            soundness, what = Soundness.DAMAGED, str(error)
        findings.append(Finding(part, soundness, what))
    by_part = {each.part: each.soundness for each in findings}
    return DumpCheck(
        format=type(source).__name__.removesuffix("Core").lower(),
        memory=sum(map(len, source.ranges.runs())),
        cut_off=sum(map(len, source.cut_off.runs())),
        pages=pages,
        findings=tuple(findings),
        works=tuple(name for part, name in _NEEDED_FOR.items() if by_part[part] is Soundness.SOUND),
        fails=tuple(name for part, name in _NEEDED_FOR.items() if by_part[part] is Soundness.DAMAGED),
        sound=Soundness.DAMAGED not in by_part.values(),
    )


def _headers(source: Source) -> Iterator[Finding]:
    problems = list(source.problems)
    if source.cut_off:
        size = sum(map(len, source.cut_off.runs()))
        problems.append(f"{size} bytes of memory are cut off, from {next(source.cut_off.runs()).start:#x} on")
    yield _told("headers", problems, "they agree with the file")
    if isinstance(source, KdumpCore | SplitCore):  # the formats that have bitmaps
        strange = source.strange
        what = [f"{strange} pages are in the dump that were no memory"] if strange else []
        yield _told("bitmaps", what, "each page in the dump was memory")


def _told(part: str, problems: list[str], well: str) -> Finding:
    return Finding(part, Soundness.DAMAGED if problems else Soundness.SOUND, "; ".join(problems) or well)


def _notes(source: Source) -> Finding:
    data = source.notes
    if not data.strip(b"\0"):
        return Finding("notes", Soundness.ABSENT, "no registers and no VMCOREINFO in the headers")
    at, count = 0, 0
    for name, _, text in notes(memoryview(data)):
        at += NOTE_HEADER_SIZE + -(-len(name) // 4) * 4 + -(-len(text) // 4) * 4
        count += 1
    if data[at:].strip(b"\0"):
        return Finding(
            "notes", Soundness.DAMAGED, f"note {count + 1}, at byte {at:#x} of {len(data):#x}, is longer than the notes"
        )
    return Finding("notes", Soundness.SOUND, f"{count} notes")


def _vmcoreinfo(source: Source) -> Finding:
    info = source.vmcoreinfo
    if not info.lines:
        return Finding("VMCOREINFO", Soundness.DAMAGED, "neither in the headers nor found in memory")
    where = "in the headers" if source.noted else "found in memory"
    return Finding("VMCOREINFO", Soundness.SOUND, f"{where}: {len(info.lines)} lines, Linux {info.release}")


def _log(dump: Dump) -> tuple[Soundness, str]:
    records, problem = read_log(dump.memory)
    if problem is not None:
        return Soundness.DAMAGED, f"{len(records)} records; {problem}"
    return Soundness.SOUND, f"{len(records)} records"


def _symbols(dump: Dump) -> tuple[Soundness, str]:
    dump.symbols.needed("_stext")  # it unpacks every name
    return Soundness.SOUND, f"{len(dump.symbols)} symbols"


def _types(dump: Dump) -> tuple[Soundness, str]:
    if dump.symbols.address("__start_BTF") is None:
        return Soundness.ABSENT, "this kernel has no BTF"
    return Soundness.SOUND, f"{len(read_btf(dump.memory, dump.symbols))} types"


def _tasks(dump: Dump) -> tuple[Soundness, str]:
    found = dump.tasks()
    return _counted(len(found.tasks), "tasks", found.problems)


def _modules(dump: Dump) -> tuple[Soundness, str]:
    found = dump.modules()
    return _counted(len(found.modules), "modules", found.problems)


def _calls(dump: Dump) -> tuple[Soundness, str]:
    stacks = dump.backtraces
    chains = [stacks.processor(each) for each in stacks.processors if each.prstatus]
    if not chains:
        return Soundness.ABSENT, "no registers were saved"
    empty = [f"processor {each.cpu}: {each.ended}" for each in chains if not each.frames]
    return _counted(len(chains), "processors with registers", empty)


def _counted(count: int, what: str, problems: list[str] | tuple[str, ...]) -> tuple[Soundness, str]:
    more = f"; {problems[0]}" if problems else ""
    return Soundness.DAMAGED if problems else Soundness.SOUND, f"{count} {what}{more}"

"""Saving a dump: filter and write it, and say what became of every page and what is missing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError
from warmboot.dump.page_rules import Rule
from warmboot.dump.sinks import DrySink, FileSink, FlatSink, PipeSink, Sink, SinkError
from warmboot.errors import InputError

if TYPE_CHECKING:
    from warmboot.dump.kdump_writer import Progress, Written
    from warmboot.dump.page_filter import PageFilter
    from warmboot.dump.source import Source

__all__ = ["FORMATS", "SavePlan", "Saved", "save"]

FORMATS = ("kdump", "elf", "flattened")
STDOUT = Path("-")


@dataclass(frozen=True, slots=True)
class SavePlan:
    """How a dump is saved. `outputs` are several files for a split dump; "-" is the descriptor `pipe`, standard output
    unless another is given: flattened."""

    outputs: tuple[Path, ...]
    level: int = 31
    format: str = "kdump"
    codec: str = "zstd"
    threads: int = 1
    force: bool = False
    keep_name: bool = False  # a dump that is cut off has the name that was asked for
    elf_in_flattened: bool = False
    dry: bool = False  # nothing is written
    pipe: int = 1


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a dump. `pages` are counted by rule; `missing` is what is not in it, in words, or empty."""

    files: tuple[str, ...]
    format: str
    codec: str
    level: int
    page_size: int
    pages: Mapping[str, int]
    kept: int  # pages in the dump with their bytes; zeros not counted
    bytes: int
    seconds: float
    complete: bool
    missing: str
    unsure: tuple[str, ...]  # why pages are kept that the level leaves out


def save(source: Source, plan: SavePlan, progress: Progress | None = None) -> Saved:
    """Save `source`; raises RefusedError where nothing can be written at all. A dump that is cut off is an answer."""
    from warmboot.dump.kdump_writer import Written  # noqa: PLC0415 - only what is used, here and below
    from warmboot.dump.page_filter import PageFilter  # noqa: PLC0415

    elf = plan.format == "elf" or plan.elf_in_flattened
    if len(plan.outputs) > 1 and plan.format != "kdump":
        raise InputError("only kdump-compressed dumps are split", hint="--format kdump, or one file")
    began, now = time.monotonic(), int(time.time())
    pages = PageFilter(source, plan.level)
    parts: Sequence[range | None] = [None]
    if len(plan.outputs) > 1:
        from warmboot.dump.kdump_parts import cut  # noqa: PLC0415

        parts = cut(pages, len(plan.outputs))
    files, missing, size, written = [], "", 0, Written()
    for path, part in zip(plan.outputs, parts, strict=True):
        written, before = Written(), written
        sink = _sink(path, plan)
        name, why = _write(source, pages, sink, plan, part, written, progress, now=now, elf=elf)
        files.append(name or str(path))
        missing = missing or why
        size += sink.written
        _add(written, before)
    missing = missing or _cut_off(source)
    return Saved(
        files=tuple(files),
        format=plan.format,
        codec="none" if elf else plan.codec,
        level=plan.level,
        page_size=pages.page_size,
        pages={rule.name.lower(): count for rule, count in sorted(written.pages.items()) if count},
        kept=written.packed,
        bytes=size,
        seconds=time.monotonic() - began,
        complete=not missing,
        missing=missing,
        unsure=pages.unsure,
    )


def _cut_off(source: Source) -> str:
    """What the source itself has lost, or nothing."""
    if not source.cut_off:
        return ""
    size, start = sum(map(len, source.cut_off.runs())), next(source.cut_off.runs()).start
    return f"{size} bytes of memory were not in the source, which is cut off, from {start:#x} on"


def _add(written: Written, before: Written) -> None:
    written.packed += before.packed
    written.unreadable += before.unreadable
    if before.pages:
        zeros = before.pages[Rule.ZERO]
        written.pages[Rule.ZERO] += zeros
        written.pages[Rule.KEPT] -= zeros


def _sink(path: Path, plan: SavePlan) -> Sink:
    if plan.dry:
        return DrySink()
    if path == STDOUT:
        return FlatSink(PipeSink(plan.pipe, "standard output" if plan.pipe == 1 else "the pipe"))
    file = FileSink(path, force=plan.force, keep_name=plan.keep_name)
    return FlatSink(file) if plan.format == "flattened" else file


def _write(
    source: Source,
    pages: PageFilter,
    sink: Sink,
    plan: SavePlan,
    part: range | None,
    written: Written,
    progress: Progress | None,
    *,
    now: int,
    elf: bool,
) -> tuple[str, str]:
    """Where the dump is if not under its name, and what it lacks; both empty if all is well."""
    try:
        if elf:
            from warmboot.dump.elf_writer import write_elf  # noqa: PLC0415

            write_elf(source, pages, sink, threads=plan.threads, progress=progress, written=written)
        else:
            from warmboot.dump.kdump_writer import write_kdump  # noqa: PLC0415

            write_kdump(
                source,
                pages,
                sink,
                plan.codec,
                threads=plan.threads,
                now=now,
                part=part,
                progress=progress,
                written=written,
            )
        sink.finish()
    except SinkError as error:
        left = written.kept - written.packed - written.pages[Rule.ZERO]
        what = f"{left} of {written.kept} pages are missing" if written.kept else "its pages are missing"
        return sink.give_up(), f"{error}: {what}"
    except (DumpError, KeyboardInterrupt):
        sink.give_up()
        raise
    if written.unreadable:
        at = (written.first_unreadable or 0) * pages.page_size
        return "", f"{written.unreadable} pages could not be read, the first one at {at:#x}"
    return "", ""

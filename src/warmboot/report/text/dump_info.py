"""What a dump is of, and why a page is in it, as text: a word, then what there is to say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from warmboot.report.text.dump_kernel import backtrace_lines
from warmboot.report.text.words import size_text

if TYPE_CHECKING:
    from warmboot.dump.info import DumpInfo, ProcessorRegisters
    from warmboot.dump.why import Why

__all__ = ["fact_rows", "info_lines", "why_lines"]


_BEFORE = 6  # facts that stand before the panic


def info_lines(info: DumpInfo) -> Iterator[str]:
    """The answer of `warmboot dump info`, without what is not known."""
    return (f"{name:10}{text}" for name, text in _rows(info) if text)


def why_lines(found: Why) -> Iterator[str]:
    """The answer of `warmboot dump why`."""
    yield f"page      {found.pfn:#x}, physical address {found.address:#x}"
    yield f"rule      {found.rule}: {found.what}"
    yield f"told by   {found.test}"
    if found.since:
        yield f"releases  {found.since}"
    if not found.excluded_at:
        yield "left out  at no level"
    elif len(found.excluded_at) == 32:
        yield "left out  at every level"
    else:
        yield f"left out  at levels {', '.join(map(str, found.excluded_at))}"
    if found.head is not None and found.head != found.pfn:
        yield f"block     begins at page {found.head:#x}, by which it was judged"
    if found.flags is not None:
        yield (
            f"struct    flags {found.flags:#x}, mapping {found.mapping:#x}, _mapcount {found.mapcount:#x}, "
            f"private {found.private:#x}{', a tail page' if found.tail else ''}"
        )
    for each in found.unsure:
        yield f"not sure  {each}"


def _registers(each: ProcessorRegisters) -> Iterator[tuple[str, str]]:
    """All of the processor that panicked, of the others where they were."""
    name = f"cpu {each.cpu}"
    if not each.registers:
        yield name, "no registers were saved"
        return
    where = each.where or f"a program, at {each.registers['ip']:#x}"
    yield name, f"{where}{', panicked' if each.panicked else ''}"
    if each.panicked:
        cells = [f"{register:7} {value:016x}" for register, value in each.registers.items()]
        for at in range(0, len(cells), 2):  # two fit into 60 columns
            yield "", "  ".join(cells[at : at + 2])


def _rows(info: DumpInfo) -> Iterator[tuple[str, str]]:
    facts = list(fact_rows(info))
    yield from facts[:_BEFORE]
    for number, line in enumerate(info.panic):
        yield "" if number else "panic", line
    if info.panicked is not None:
        first, *frames = backtrace_lines(info.panicked, stack=False)
        yield "calls", first
        yield from (("", line) for line in frames)
    for processor in info.registers:
        yield from _registers(processor)
    yield from facts[_BEFORE:]
    for each in info.problems:
        yield "problem", each


def fact_rows(info: DumpInfo) -> Iterator[tuple[str, str]]:
    """What is said in a line: names and texts; a text that is empty is not known."""
    yield "kernel", f"Linux {info.release}"
    yield "", info.version
    yield "machine", f"{info.machine}, {info.processors} processors, {size_text(info.memory)} of memory"
    yield "node", info.node
    yield "crashed", _date(info.crashed)
    yield "uptime", _uptime(info.uptime)
    if info.taints is not None:
        yield "taints", f"{info.taints or 'none'}{': ' if info.taints else ''}{', '.join(info.taint_reasons)}"
    if info.kernel_offset is not None:
        yield "KASLR", f"the kernel is moved by {info.kernel_offset:#x}"
    whole = "" if info.complete else ", which was cut off"
    yield "dump", f"{info.format}{whole}, with {size_text(info.in_dump)} of the memory"


def _date(crashed: int | None) -> str:
    return "" if crashed is None else time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(min(crashed, 1 << 36)))


def _uptime(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours // 24} days, {hours % 24}:{minutes:02}:{seconds:06.3f}"

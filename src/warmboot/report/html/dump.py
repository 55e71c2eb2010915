"""A dump as one HTML page: why it is there, what each processor did, the log's end, and what of memory it has."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from warmboot.dump.dump import Dump
from warmboot.dump.interface import DumpError
from warmboot.dump.log import log_text
from warmboot.errors import WarmbootError
from warmboot.report.html.filled import filled
from warmboot.report.html.render import Head, render
from warmboot.report.text.dump_info import fact_rows
from warmboot.report.text.dump_kernel import backtrace_lines

if TYPE_CHECKING:
    from warmboot.dump.info import DumpInfo
    from warmboot.dump.source import Source

__all__ = ["dump_page"]

_LINES = 300  # of the log, the last
_LENGTH = 1000  # characters of a line
_PROCESSORS = 64


def dump_page(subject: str, source: Source, info: DumpInfo, document: Mapping[str, Any]) -> str:
    """The page's text. `document` is what --json prints."""
    chains = _chains(source)
    left_out: Iterable[range] = source.left_out.runs() if hasattr(source, "left_out") else ()
    strips, more_strips = filled(source.ranges.runs(), left_out)
    log, before = _log(source)
    return render(
        "dump.html.j2",
        Head("dump info", subject, *_verdict(info)),
        document,
        panic=info.panic,
        rows=[(name, text) for name, text in fact_rows(info) if text],
        problems=info.problems,
        processors=[
            {
                "cpu": each.cpu,
                "panicked": each.panicked,
                "where": each.where,
                "registers": each.registers,
                "chain": chains.get(each.cpu, ""),
            }
            for each in sorted(info.registers, key=lambda each: not each.panicked)[:_PROCESSORS]
        ],
        more_processors=max(0, len(info.registers) - _PROCESSORS),
        strips=strips,
        more_strips=more_strips,
        log="\n".join(log),
        log_before=before,
    )


def _verdict(info: DumpInfo) -> tuple[str, bool]:
    if info.panic:
        return info.panic[-1], False
    return "the log says nothing of a crash", not info.problems


def _chains(source: Source) -> dict[int, str]:
    """The call chain of each processor, by its number; none of a kernel without types."""
    found: dict[int, str] = {}
    try:
        stacks = Dump(source).backtraces
        for each in islice(stacks.processors, _PROCESSORS):
            found[each.number] = "\n".join(backtrace_lines(stacks.processor(each), stack=False))
    except WarmbootError:
        pass
    return found


def _log(source: Source) -> tuple[deque[str], int]:
    """The last lines, and how many come before them."""
    lines, count = deque[str](maxlen=_LINES), 0
    try:
        for each in log_text(source):
            lines.append(each[:_LENGTH])
            count += 1
    except DumpError:  # it is among the problems
        pass
    return lines, count - len(lines)

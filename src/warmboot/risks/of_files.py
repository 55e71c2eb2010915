"""What the files that are loaded tell of a start that will fail: a kernel for another processor, an initrd that is cut,
and a command line that leaves too little memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from warmboot.command_line import parse
from warmboot.errors import InputError
from warmboot.images.initrd_end import where_cut
from warmboot.images.processor_needs import built_for, required_features
from warmboot.memmap.facts import parse_size
from warmboot.numbers import size_text
from warmboot.risks.risk import LIKELY, POSSIBLE, Risk

__all__ = ["Loading", "risks_of_files"]

_SPARE = 32 << 20  # bytes that a kernel needs beside itself and its initrd until user space runs, at the very least
_MEM = re.compile(r"[0-9a-fxA-FX]+[kKmMgGtT]?")


@dataclass(frozen=True, slots=True)
class Loading:
    """What is loaded. `setup` is a bzImage's real-mode part, empty for others; `needs` the bytes that the kernel takes
    until it has unpacked itself; `config` its configuration, where that is at hand; `flags` those of this machine's
    processor, as /proc/cpuinfo has them, None where they are not known."""

    command_line: str
    initrds: Sequence[memoryview] = ()
    setup: bytes | memoryview = b""
    needs: int = 0
    config: str = ""
    flags: frozenset[str] | None = None


def risks_of_files(loading: Loading) -> Iterator[Risk]:
    """The likely ones first."""
    for number, each in enumerate(loading.initrds, 1):
        cut = where_cut(each)
        if cut is not None:
            which = f"initrd {number}" if len(loading.initrds) > 1 else "the initrd"
            yield Risk("initrd_broken", LIKELY, "the initrd is cut off", f"{which}: {cut}")
    yield from _memory(loading)
    yield from _processor(loading)


def _memory(loading: Loading) -> Iterator[Risk]:
    told = [each for each in parse(loading.command_line).all("mem") if _MEM.fullmatch(each)]
    needs = loading.needs + sum(each.nbytes for each in loading.initrds) + _SPARE
    for each in told:
        try:
            size = parse_size(each)
        except InputError:
            continue
        if size < needs:
            seen = f"mem={each} leaves {size_text(size)}; kernel and initrd alone need {size_text(needs)}"
            yield Risk("memory_map", LIKELY, "mem= leaves too little memory", seen)


def _processor(loading: Loading) -> Iterator[Risk]:
    if loading.flags is None:
        return
    features, line = built_for(loading.config)
    lacks = [each for each in (*required_features(loading.setup), *features) if each not in loading.flags]
    if lacks:
        why = f" ({line})" if line else ""
        seen = f"the kernel needs {', '.join(dict.fromkeys(lacks))}, which this processor has not{why}"
        yield Risk("newer_processor", LIKELY, "the kernel needs what the processor has not", seen)
    elif line and not features:
        seen = f"the kernel was built for the processor of its builder ({line})"
        yield Risk("newer_processor", POSSIBLE, "the kernel was built for its builder's processor", seen)

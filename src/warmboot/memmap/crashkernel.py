"""crashkernel= as Linux reads it, and where Linux reserves what it asks for.

The rules are those of kernel/crash_reserve.c of Linux 6.9 and later (kernel/crash_core.c and the architecture's setup.c
before), and Documentation/admin-guide/kdump/kdump.rst. All sizes are bytes, all addresses physical.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from warmboot.errors import InputError
from warmboot.memmap.arch import of
from warmboot.memmap.facts import Facts, parse_size
from warmboot.memmap.ranges import Range
from warmboot.memmap.reservation import CrashReservation
from warmboot.uapi import PAGE_SIZE

__all__ = ["CrashKernel", "parse_crashkernel", "reserve", "with_crash_kernel", "without_reservation"]

_ROUNDED_TO = 128 << 20  # before ranges are compared with it, as firmware takes a part of memory
_HINT = "as Linux takes it: 256M, 256M@64M, 512M,high, 128M,low, or 512M-2G:64M,2G-:128M"


@dataclass(frozen=True, slots=True)
class CrashKernel:
    """One crashkernel=. `sizes` are (start, end, size): the size for a machine with that much memory.

    `base` is where it must begin, 0 for anywhere; `where` is "high", "low" or nothing.
    """

    sizes: tuple[tuple[int, int | None, int], ...]
    base: int = 0
    where: str = ""

    def size(self, memory: int) -> int:
        """Bytes that a machine of `memory` bytes reserves, 0 for none."""
        rounded = -(-memory // _ROUNDED_TO) * _ROUNDED_TO
        return next((size for start, end, size in self.sizes if start <= rounded and (end is None or rounded < end)), 0)


def parse_crashkernel(text: str) -> CrashKernel:
    """Read one crashkernel=. Raises InputError where Linux would not understand it."""
    try:
        for where in ("high", "low"):
            if text.endswith(f",{where}"):
                return CrashKernel(((0, None, parse_size(text[: -len(where) - 1])),), where=where)
        sizes, at, base = text.partition("@")
        parsed = [_sized(each) for each in sizes.split(",")] if ":" in sizes else [(0, None, parse_size(sizes))]
        return CrashKernel(tuple(parsed), parse_size(base) if at else 0)
    except InputError as error:
        raise InputError(f"crashkernel {text[:80]!r}: {error}", hint=_HINT) from None


def _sized(text: str) -> tuple[int, int | None, int]:
    """START-[END]:SIZE, with an end that does not belong to it."""
    limits, colon, size = text.partition(":")
    start, dash, end = limits.partition("-")
    if not colon or not dash:
        raise InputError(f"{text!r} is no range with its size", hint=_HINT)
    sized = parse_size(start), parse_size(end) if end else None, parse_size(size)
    if sized[1] is not None and sized[1] <= sized[0]:
        raise InputError(f"{text!r} ends before it begins", hint=_HINT)
    return sized


def reserve(
    asked_for: Sequence[CrashKernel], memory: int, free: Sequence[Range], rules: CrashReservation
) -> list[Range]:
    """What a machine with `memory` bytes, of which the ranges `free` are not taken yet, reserves; lowest first.

    As in Linux the last of a kind counts. `rules` are the architecture's. Raises InputError where it does not fit.
    """
    last = {each.where: each for each in asked_for}
    low_size = last["low"].size(memory) if "low" in last else rules.low_size
    if "" in last:
        asked, high = last[""], False
    elif "high" in last:
        asked, high = last["high"], True
    else:
        raise InputError("crashkernel with ,low only: it goes with one that has ,high", hint=_HINT)
    size = asked.size(memory)
    if not size:
        return []
    if size % PAGE_SIZE or low_size % PAGE_SIZE or asked.base % PAGE_SIZE:
        raise InputError(f"crashkernel of {size} bytes is no number of whole pages", hint="reserve a whole MiB")
    if asked.base:
        there = Range(asked.base, asked.base + size)
        if not any(each.start <= there.start and there.end <= each.end for each in free):
            raise InputError(f"a crash kernel at {there} does not fit: not all of it is free RAM", hint=_HINT)
        return [there]
    limits = [(0, rules.low_max), (rules.low_max, rules.high_max)]
    for least, most in reversed(limits) if high else limits:
        if found := _highest(free, size, least, most, rules.align):
            if found.start < rules.low_max or not low_size:
                return [found]
            if low := _highest(free, low_size, 0, rules.low_max, rules.align):
                return [low, found]
    raise InputError(
        f"a crash kernel of {size} bytes does not fit in the machine's memory",
        hint="reserve less, or give more memory",
    )


def _highest(free: Sequence[Range], size: int, least: int, most: int, align: int) -> Range | None:
    """The highest free range of that size and alignment from `least` to `most`, as memblock finds it."""
    for each in sorted(free, reverse=True):
        start = (min(each.end, most) - size) // align * align
        if start >= max(each.start, least):
            return Range(start, start + size)
    return None


def with_crash_kernel(facts: Facts, asked_for: Sequence[CrashKernel]) -> Facts:
    """The same machine with memory reserved for a crash kernel. Raises InputError where it does not fit."""
    memory = sum(each.size for each in facts.system_ram)
    rules = of(facts.machine).crash_reservation
    reserved = reserve(asked_for, memory, facts.allocatable, rules) if asked_for else []
    if not reserved:
        return facts
    lines = []
    for line, resource in zip(facts.iomem.splitlines(), facts.resources, strict=True):
        lines.append(line)
        lines += [
            f"  {each.start:08x}-{each.end - 1:08x} : Crash kernel"
            for each in reserved
            if resource.depth == 0 and resource.range.start <= each.start < resource.range.end
        ]
    size = sum(each.size for each in reserved)
    return replace(
        facts,
        iomem="\n".join(lines) + "\n",
        totalram_pages=max(1, facts.totalram_pages - size // PAGE_SIZE),
        kexec_crash_size=str(size),
    )


def without_reservation(facts: Facts) -> Facts:
    """The same machine with no memory reserved for a crash kernel."""
    size = sum(each.size for each in facts.crash_kernel)
    pairs = zip(facts.iomem.splitlines(), facts.resources, strict=True)
    return replace(
        facts,
        iomem="".join(f"{line}\n" for line, each in pairs if each.name != "Crash kernel"),
        totalram_pages=facts.totalram_pages + size // PAGE_SIZE,
        kexec_crash_size="0",
    )

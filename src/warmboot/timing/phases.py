"""The parts of a kernel's start by the lines that it prints: each line begins a part, and ends the one before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from warmboot.timing.figures import Silence, TimePart
from warmboot.visible import visible

__all__ = ["BEGINS", "WHAT", "kernel_parts", "silences", "stamped"]

# In the order in which they come: the part that a line begins. init/initramfs.c unpacks beside the rest of the start
# (since 5.13), and says when it is done.
BEGINS = (
    ("kernel", re.compile(r"Linux version ")),
    ("initrd", re.compile(r"Trying to unpack rootfs image as initramfs|Unpacking initramfs")),
    ("devices", re.compile(r"Freeing initrd memory: ")),
    ("init", re.compile(r"Run /\S+ as init process")),
)
WHAT = {
    "kernel": "the kernel's start, by its own clock",
    "initrd": "the initrd is unpacked, and what is done beside that",
    "devices": "the rest, until the first program runs",
    "init": "the first program",
}
_STAMPED = re.compile(r"\[ *(\d{1,9})\.(\d{6})\] ?(.*)")
_SHOWN, _LONGEST = 5, 0.05  # silences, and seconds that one lasts at least
_TEXT = 100


def stamped(line: str) -> tuple[float, str] | None:
    """A console's line as the kernel's time and its text; None for one that is not the kernel's."""
    found = _STAMPED.match(line)
    return None if found is None else (int(found[1]) + int(found[2]) / 1e6, found[3])


def kernel_parts(lines: Iterable[tuple[float, str]], ended: float | None = None) -> Iterator[TimePart]:
    """The parts from the kernel's time 0 on, of lines with that time; the last one ends at `ended`, if known."""
    begun: list[tuple[str, float]] = []
    left = list(BEGINS)
    for when, text in lines:
        for number, (name, pattern) in enumerate(left):
            if pattern.search(text):
                begun.append((name, when if begun else 0.0))
                del left[: number + 1]
                break
    ends = [*(when for _, when in begun[1:]), *([] if ended is None else [ended])]
    for (name, start), end in zip(begun, ends, strict=False):
        yield TimePart(name, max(0.0, end - start), WHAT[name])


def silences(lines: Sequence[tuple[float, str]], until: float) -> tuple[Silence, ...]:
    """The longest times up to `until`, in the kernel's own, that it logged nothing."""
    found = [
        Silence(later - when, when, visible(text, most=_TEXT))
        for (when, text), (later, _) in pairwise(lines)
        if later <= until and later - when >= _LONGEST
    ]
    return tuple(sorted(found, key=lambda each: -each.seconds)[:_SHOWN])

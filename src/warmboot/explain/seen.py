"""The lines of a paste that are signs of a rule."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from warmboot.explain.clean import Line
from warmboot.explain.signs import SIGNS, Sign

__all__ = ["Seen", "seen_in"]

_SILENT = "silent"
_BOOT_CONSOLE = "boot_console"
# Of which every line that is a sign has one: most lines of a log have none, and are passed over quickly.
_WORDS = (
    *(
        "kexec",
        "lockdown",
        "locked down",
        "sign",
        "sig wrapper",
        "pefile",
        "key",
        "digest",
        "sha256",
        "ima",
        "allocate",
    ),
    *("cpu", "crash", "free area", "hole", "memory", "arch", "machine type", "zboot", "efi", "compress", "file type"),
    *("root", "0000000", "init", "magic", "watchdog", "hpwdt", "dmar", "amd-vi", "page_fault", "translation", "cared"),
    *(
        "spurious",
        "controller",
        "reset",
        "firmware",
        "adapter",
        "device",
        "probe",
        "rsdp",
        "bad page",
        "corrupt",
        "la57",
    ),
    *(
        "ima",
        "la57",
        "-level",
        "nouveau",
        "i915",
        "amdgpu",
        "radeon",
        "nvidia",
        "simple",
        "vesafb",
        "panic",
        "bye",
        "purgatory",
    ),
    *("loaded", "junk", "execute", "alert!", "dracut", "oom-killer", "allocation", "pez_", "kcore", "layout"),
    *("bootconsole", "trampoline", "swiotlb", "bzimage", "screen", "display", "monitor", "fsck"),
)
_WRAPPED = 50  # characters at least of a line that a terminal cut
_WORD = 12  # columns that such a line may be shorter than the longest, where words are kept whole
_AFTER = 3  # lines behind "Starting new kernel" that mean the new kernel spoke
_LAST = 2  # lines, one of which ends the early console where nothing comes after it
_MOST = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """A line that is a sign of a rule; `weight` orders signs that are as sure as each other, the smaller first."""

    rule: str
    confidence: str
    weight: int
    line: Line


def seen_in(lines: Sequence[Line]) -> list[Seen]:
    """The signs, at most 200, each line with the next where a terminal may have cut it in two."""
    found = list(islice(_found(lines), _MOST))
    last = max((index for index, each in enumerate(lines) if _started(each.text)), default=None)
    if last is not None and len(lines) - last > _AFTER:
        found = [each for each in found if each.rule != _SILENT]
    # Every boot with an early console says that it ends.
    ends = {each.number for each in lines[-_LAST:]}
    return [each for each in found if each.rule != _BOOT_CONSOLE or each.line.number in ends]


def _found(lines: Sequence[Line]) -> Iterator[Seen]:
    edge = max((each.width for each in lines), default=0) - _WORD
    after = _first(lines[0].text) if lines else None
    for index, line in enumerate(lines):
        here, after = after, _first(lines[index + 1].text) if index + 1 < len(lines) else None
        if (
            here is None
            and len(line.text) >= _WRAPPED
            and line.width >= edge
            and index + 1 < len(lines)
            and not lines[index + 1].stamped
            and after is None
        ):
            here = _first(f"{line.text} {lines[index + 1].text}"[:1200])
        if here is not None:
            yield Seen(here.rule, here.confidence, here.weight, line)


def _first(text: str) -> Sign | None:
    lower = text.lower()
    if not any(each in lower for each in _WORDS):
        return None
    return next((each for each in SIGNS if each.pattern.search(text)), None)


def _started(text: str) -> bool:
    return re.search(r"starting new kernel|I'm in purgatory|\bbye!$", text, re.IGNORECASE) is not None

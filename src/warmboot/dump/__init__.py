"""Crash dumps: what a dump of memory consists of, the formats that it is told in, filtering, writing and reading."""

from __future__ import annotations

from warmboot.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.dump.facts import DumpFacts, KernelText, Moved
    from warmboot.dump.opening import open_dump

__all__ = ["DumpFacts", "KernelText", "Moved", "open_dump"]

_HOMES = {
    "DumpFacts": "dump.facts",
    "KernelText": "dump.facts",
    "Moved": "dump.facts",
    "open_dump": "dump.opening",
}

if not TYPE_CHECKING:  # to a type checker, a name that is not above is a mistake
    __getattr__, __dir__ = lazy(globals(), _HOMES)

"""Crash dumps: what a dump of memory consists of, and the formats that it is told in."""

from warmboot.dump.elfcorehdr import elfcorehdr
from warmboot.dump.facts import DumpFacts, KernelText, Moved

__all__ = ["DumpFacts", "KernelText", "Moved", "elfcorehdr"]

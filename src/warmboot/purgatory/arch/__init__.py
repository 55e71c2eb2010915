"""What depends on the architecture, one folder each, named as `uname -m` does."""

from __future__ import annotations

# How an image is entered. With a second architecture these become what theirs have in common.
from warmboot.purgatory.arch.x86_64.parameters import (
    JUMP_BACK_TEXT_SIZE,
    PURGATORY_REGION_COUNT,
    Backup,
    Console,
    Entry,
    Region,
    purgatory,
    purgatory_size,
)

__all__ = [
    "JUMP_BACK_TEXT_SIZE",
    "PURGATORY_REGION_COUNT",
    "Backup",
    "Console",
    "Entry",
    "Region",
    "purgatory",
    "purgatory_size",
]

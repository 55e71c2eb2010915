"""The purgatory: what runs between the old kernel and the new, checks the digest, and enters as it was told."""

from warmboot.purgatory.arch import (
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

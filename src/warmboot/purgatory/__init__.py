"""The purgatory: what runs between the old kernel and the new, checks the digest, and enters as it was told."""

from warmboot.purgatory.arch import of
from warmboot.purgatory.parameters import Backup, Console, Entry, Marks, Region

__all__ = ["Backup", "Console", "Entry", "Marks", "Region", "of"]

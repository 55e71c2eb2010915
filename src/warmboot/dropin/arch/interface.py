"""What an architecture's options module has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Protocol

__all__ = ["Options"]


class Options(Protocol):
    """The options that only one architecture has, and what its file types take."""

    @property
    def ARCHITECTURE(self) -> Sequence[tuple[str, bool, str]]:  # noqa: N802 - a module's constants
        """Name, whether it takes an argument, meaning; in the order in which kexec-tools lists them."""

    @property
    def LOADING_ONLY(self) -> Set[str]:  # noqa: N802
        """Meanings that are wrong usage where no kernel is to be loaded."""

    @property
    def TAKEN_BY(self) -> Mapping[str, Set[str]]:  # noqa: N802
        """The meanings that each file type takes, in the order in which a file is probed."""

    @property
    def FILE_TYPES(self) -> Sequence[str]:  # noqa: N802
        """The file types, in that order."""

    @property
    def BY_FILE(self) -> Set[str]:  # noqa: N802
        """Those that kexec_file_load takes."""

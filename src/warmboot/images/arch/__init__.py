"""The kinds of kernels that an architecture has, one folder each, named as `uname -m` does."""

from __future__ import annotations

from warmboot.wings import wing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.images.arch.interface import Kind

__all__ = ["DEFAULT", "Kind", "of"]

DEFAULT = "x86_64"  # of kernels whose architecture is not given


def of(machine: str) -> tuple[Kind, ...]:
    """The kinds, in the order in which a file is probed. Raises InputError for an architecture that is not known."""
    kinds: tuple[Kind, ...] = wing(__name__, machine)
    return kinds

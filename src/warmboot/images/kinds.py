"""Which kinds of kernels a file may be loaded as."""

from __future__ import annotations

from warmboot.images.arch import DEFAULT, of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from warmboot.images.arch import Kind

__all__ = ["kind_names", "kinds_of", "matching_kinds"]


def kinds_of(data: memoryview) -> Iterator[Kind]:
    """The kinds that the file may be loaded as, the one that is taken by default first."""
    return (each for each in of(DEFAULT) if each.probe(data))


def matching_kinds(data: memoryview) -> Iterator[str]:
    """Their names."""
    return (each.name for each in kinds_of(data))


def kind_names() -> tuple[str, ...]:
    """The names of all kinds, in the order in which a file is probed."""
    return tuple(each.name for each in of(DEFAULT))

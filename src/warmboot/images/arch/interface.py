"""What there is to know of a kind of kernel to tell it and to read it."""

from __future__ import annotations

from warmboot.records import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from warmboot.images.image import Image

    Parse = Callable[[memoryview, "Origin"], Image]  # raises WarmbootError

__all__ = ["Kind", "Origin"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where bytes come from: the file's `name` for messages, the packings that were taken off, outermost first, and
    the `profile` that is asked for, None where none is."""

    name: str
    wrapping: tuple[str, ...] = ()
    profile: int | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of kernel: kexec-tools' name, a cheap look at a file's first bytes, and the parser.

    A parser imports its format's module when it is called, so that no other format's is loaded. There is none for a
    format that is recognized and cannot be loaded. `profiles`: whether a file has several command lines to choose from.
    """

    name: str
    probe: Callable[[memoryview], bool]
    parse: Parse | None = None
    profiles: bool = False

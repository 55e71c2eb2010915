"""What a unified kernel image brings of its own, and what comes of it together with what is given: one rule for all."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import TypeIs

    from warmboot.images.image import Image
    from warmboot.images.uki import Uki

__all__ = ["image_files", "is_unified", "unwrapped"]


def unwrapped(
    image: Image,
    initrds: Sequence[memoryview],
    line: Callable[[str | None], str],
    *,
    in_place: bool = False,
) -> tuple[Image, tuple[memoryview, ...], str]:
    """The kernel itself, its initrds in order, and its command line.

    A unified image's own initrds come first, microcode before all, then those that are given: what is unpacked last
    counts. With `in_place` what is given replaces them, as in kexec-tools. `line` makes the command line of the
    image's own one, None where there is none.
    """
    if not is_unified(image):
        return image, tuple(initrds), line(None)
    own = () if in_place and initrds else image.initrds
    return image.linux, (*own, *initrds), line(image.command_line)


def is_unified(image: Image) -> TypeIs[Uki]:
    """Whether it is a unified kernel image, told without the module that reads those."""
    return image.kind == "uki"


def image_files(image: Image) -> tuple[str, ...]:
    """The files that it was made of: its own, and the add-ons that count."""
    return (image.name, *image.addon_files) if is_unified(image) else (image.name,)

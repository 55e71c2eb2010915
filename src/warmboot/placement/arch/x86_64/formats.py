"""Which of the formats an image is of, and who places it."""

from __future__ import annotations

from warmboot.images.bzimage import BzImage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from warmboot.images.image import PlainImage
    from warmboot.placement.layout import Layout, Placement
    from warmboot.placement.wanted import Wanted

__all__ = ["linux_command_line", "place_image"]


def place_image(image: PlainImage, wanted: Wanted, layout: Callable[[Wanted], Layout]) -> Placement:
    """See PlacementArch.place."""
    # The others' modules are only loaded for an image of theirs.
    if isinstance(image, BzImage):
        from warmboot.placement.arch.x86_64.bzimage import place_bzimage  # noqa: PLC0415

        return place_bzimage(layout(wanted), image)
    from warmboot.images.elf import ElfImage  # noqa: PLC0415

    if isinstance(image, ElfImage):
        from warmboot.placement.arch.x86_64.elf import place_elf  # noqa: PLC0415

        return place_elf(layout(wanted), image)
    from warmboot.placement.arch.x86_64.multiboot import place_multiboot  # noqa: PLC0415

    return place_multiboot(layout(wanted), image)


def linux_command_line(image: PlainImage, command_line: str) -> tuple[str, int] | None:
    """See PlacementArch.linux_command_line."""
    from warmboot.images.elf import ElfImage  # noqa: PLC0415
    from warmboot.placement.arch.x86_64.linux import COMMAND_LINE_SIZE  # noqa: PLC0415

    match image:
        case BzImage():
            return command_line, image.cmdline_size
        case ElfImage():
            return command_line, COMMAND_LINE_SIZE - 1
    return None

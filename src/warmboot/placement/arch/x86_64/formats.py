"""Who places a kind of kernel. A new format is a row here, and one in the kinds of `images`.

The module of a format is only loaded for an image of it.
"""

from __future__ import annotations

from warmboot.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from warmboot.images.image import Image
    from warmboot.placement.layout import Layout, Placement

__all__ = ["PLACERS", "command_line_size", "place"]


def place(layout: Layout, image: Image) -> Placement:
    """See PlacementArch."""
    if image.kind not in PLACERS:
        raise InputError(
            f"{image.name}: of type {image.kind}, which cannot be placed on x86_64",
            hint=f"give a kernel of one of these types: {', '.join(PLACERS)}",
        )
    return PLACERS[image.kind](layout, image)


def command_line_size(image: Image) -> int | None:
    """See PlacementArch."""
    if image.kind in ("bzImage64", "bzImage"):
        from warmboot.images.bzimage import BzImage  # noqa: PLC0415

        assert isinstance(image, BzImage)
        return image.cmdline_size
    if image.kind == "vmlinux":
        from warmboot.images.vmlinux import UnpackedLinux  # noqa: PLC0415

        assert isinstance(image, UnpackedLinux)
        return image.packed.cmdline_size
    if image.kind in ("elf-x86_64", "elf-x86"):
        from warmboot.placement.arch.x86_64.linux import COMMAND_LINE_SIZE  # noqa: PLC0415

        return COMMAND_LINE_SIZE - 1
    return None


def _bzimage(layout: Layout, image: Image) -> Placement:
    from warmboot.images.bzimage import BzImage  # noqa: PLC0415
    from warmboot.placement.arch.x86_64.bzimage import place_bzimage  # noqa: PLC0415

    assert isinstance(image, BzImage)
    return place_bzimage(layout, image)


def _elf(layout: Layout, image: Image) -> Placement:
    from warmboot.images.elf import ElfImage  # noqa: PLC0415
    from warmboot.placement.arch.x86_64.elf import place_elf  # noqa: PLC0415

    assert isinstance(image, ElfImage)
    return place_elf(layout, image)


def _multiboot(layout: Layout, image: Image) -> Placement:
    from warmboot.images.multiboot import MultibootImage  # noqa: PLC0415
    from warmboot.placement.arch.x86_64.multiboot import place_multiboot  # noqa: PLC0415

    assert isinstance(image, MultibootImage)
    return place_multiboot(layout, image)


def _unpacked(layout: Layout, image: Image) -> Placement:
    from warmboot.images.vmlinux import UnpackedLinux  # noqa: PLC0415
    from warmboot.placement.arch.x86_64.vmlinux import place_unpacked  # noqa: PLC0415

    assert isinstance(image, UnpackedLinux)
    return place_unpacked(layout, image)


PLACERS: dict[str, Callable[[Layout, Image], Placement]] = {
    "bzImage64": _bzimage,
    "bzImage": _bzimage,
    "elf-x86_64": _elf,
    "elf-x86": _elf,
    "multiboot-x86": _multiboot,
    "multiboot2-x86": _multiboot,
    "vmlinux": _unpacked,
}

"""Kernel images: what a file is and what it needs, told by its content; never where it goes.

One module a format. Each is loaded when a name of it is first used: who identifies a bzImage pays for no other parser.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.images.bzimage import BzImage, LoadFlags, XLoadFlags, parse_bzimage
    from warmboot.images.decompress import decompressed
    from warmboot.images.detect import UnknownFormatError, WrongKindError, identify, identify_bytes
    from warmboot.images.elf import ElfImage, ElfSegment
    from warmboot.images.file import anonymous_file, map_file
    from warmboot.images.image import Image
    from warmboot.images.multiboot import MultibootImage, Relocation, VideoMode
    from warmboot.images.probe import KINDS
    from warmboot.images.uki import Uki

_HOMES = {
    "BzImage": "bzimage",
    "ElfImage": "elf",
    "ElfSegment": "elf",
    "Image": "image",
    "KINDS": "probe",
    "LoadFlags": "bzimage",
    "MultibootImage": "multiboot",
    "Relocation": "multiboot",
    "Uki": "uki",
    "UnknownFormatError": "detect",
    "VideoMode": "multiboot",
    "WrongKindError": "detect",
    "XLoadFlags": "bzimage",
    "anonymous_file": "file",
    "decompressed": "decompress",
    "identify": "detect",
    "identify_bytes": "detect",
    "map_file": "file",
    "parse_bzimage": "bzimage",
}

__all__ = [
    "KINDS",
    "BzImage",
    "ElfImage",
    "ElfSegment",
    "Image",
    "LoadFlags",
    "MultibootImage",
    "Relocation",
    "Uki",
    "UnknownFormatError",
    "VideoMode",
    "WrongKindError",
    "XLoadFlags",
    "anonymous_file",
    "decompressed",
    "identify",
    "identify_bytes",
    "map_file",
    "parse_bzimage",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'warmboot.images' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    value: object = getattr(import_module(f"warmboot.images.{_HOMES[name]}"), name)
    globals()[name] = value
    return value

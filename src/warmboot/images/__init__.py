"""Kernel images: what a file is and what it needs, recognized by its content; never where it goes.

One module a format. Each is loaded when a name of it is first used: identifying a bzImage loads no other parser.
"""

from __future__ import annotations

from warmboot.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.files.anonymous import anonymous_file
    from warmboot.files.mapped import map_file
    from warmboot.images.bzimage import BzImage, LoadFlags, XLoadFlags, parse_bzimage
    from warmboot.images.decompress import decompressed
    from warmboot.images.detect import UnknownFormatError, WrongKindError, identify, identify_bytes
    from warmboot.images.elf import ElfImage, ElfSegment
    from warmboot.images.image import Image
    from warmboot.images.kinds import kind_names
    from warmboot.images.multiboot import MultibootImage, Relocation
    from warmboot.images.uki import Uki
    from warmboot.images.video_mode import VideoMode

_HOMES = {
    "BzImage": "images.bzimage",
    "ElfImage": "images.elf",
    "ElfSegment": "images.elf",
    "Image": "images.image",
    "LoadFlags": "images.bzimage",
    "MultibootImage": "images.multiboot",
    "Relocation": "images.multiboot",
    "Uki": "images.uki",
    "UnknownFormatError": "images.detect",
    "VideoMode": "images.video_mode",
    "WrongKindError": "images.detect",
    "XLoadFlags": "images.bzimage",
    "anonymous_file": "files.anonymous",
    "decompressed": "images.decompress",
    "identify": "images.detect",
    "identify_bytes": "images.detect",
    "kind_names": "images.kinds",
    "map_file": "files.mapped",
    "parse_bzimage": "images.bzimage",
}

__all__ = [
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
    "kind_names",
    "map_file",
    "parse_bzimage",
]

if not TYPE_CHECKING:  # to a type checker, a name that is not above is a mistake
    __getattr__, __dir__ = lazy(globals(), _HOMES)

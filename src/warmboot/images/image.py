"""Any kernel image: what `identify` gives."""

from __future__ import annotations

from warmboot.images.bzimage import BzImage
from warmboot.images.elf import ElfImage
from warmboot.images.multiboot import MultibootImage
from warmboot.images.uki import Uki

__all__ = ["Image", "PlainImage"]

# Each has name, kind (of `KINDS`), version, file (the whole file, unpacked) and wrapping (what it was unpacked from).
PlainImage = BzImage | ElfImage | MultibootImage
Image = PlainImage | Uki

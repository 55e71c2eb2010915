"""What placement asks of an architecture."""

from __future__ import annotations

from typing import Protocol

from warmboot.images.image import Image
from warmboot.placement.layout import Layout, Placement
from warmboot.purgatory.arch.interface import PurgatoryArch
from warmboot.uapi import KexecArch

__all__ = ["PlacementArch"]


class PlacementArch(Protocol):
    """One architecture's formats, and how its kernels are told what they need."""

    @property
    def kexec_arch(self) -> KexecArch:
        """The system call's word for it."""
        ...

    @property
    def purgatory(self) -> PurgatoryArch:
        """Its purgatory."""
        ...

    def place(self, layout: Layout, image: Image) -> Placement:
        """Place an image by its kind. Raises InputError for a kind that is not known, and as `place` does."""
        ...

    def command_line_size(self, image: Image) -> int | None:
        """The bytes that a Linux of that image takes, without the final zero; None for what is no Linux."""
        ...

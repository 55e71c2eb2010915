"""The graphics mode that a multiboot image asks for."""

from __future__ import annotations

from warmboot.records import dataclass

__all__ = ["VideoMode"]


@dataclass(frozen=True, slots=True)
class VideoMode:
    """The graphics mode that an image would like; 0 where it does not care."""

    width: int
    height: int
    depth: int  # bits a pixel
    text: bool = False

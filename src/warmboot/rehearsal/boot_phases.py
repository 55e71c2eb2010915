"""Where the seconds of a boot go, by the lines of its console: each line begins a phase, and ends the one before."""

from __future__ import annotations

import re

from warmboot.figures import PhaseFigures

__all__ = ["BootPhases"]

# In the order in which they come: the phase that a line begins. init/initramfs.c unpacks beside the rest of the start
# (since 5.13), and says when it is done.
_BEGINS = (
    ("kernel", re.compile(r"Linux version ")),
    ("initrd", re.compile(r"Trying to unpack rootfs image as initramfs|Unpacking initramfs")),
    ("devices", re.compile(r"Freeing initrd memory: ")),
    ("init", re.compile(r"Run /\S+ as init process")),
)
_FIRST = "dark"  # relocation, purgatory, and the kernel's decompression: nothing is on the console


class BootPhases:
    """Takes lines as they come; phases that a kernel says nothing of are missing, their time is in the one before."""

    def __init__(self) -> None:
        self._began: list[tuple[str, float]] = []
        self._left = list(_BEGINS)

    def look_at(self, text: str, when: float) -> None:
        """A whole line, and when it came, in seconds of time.monotonic()."""
        for number, (name, pattern) in enumerate(self._left):
            if pattern.search(text):
                self._began.append((name, when))
                del self._left[: number + 1]
                return

    def figures(self, began: float, ended: float) -> tuple[PhaseFigures, ...]:
        """The phases from `began`, the hand-over, to `ended`."""
        starts = [(_FIRST, began), *self._began]
        ends = [*(when for _, when in self._began), ended]
        return tuple(PhaseFigures(name, max(0.0, end - start)) for (name, start), end in zip(starts, ends, strict=True))

"""The command line that is asked for: in place of the image's own, or added to it."""

from __future__ import annotations

from warmboot.command_line import parse
from warmboot.records import dataclass

__all__ = ["CommandLineRequest"]


@dataclass(frozen=True, slots=True)
class CommandLineRequest:
    """The new kernel's command line: `replace`, or else the image's own if it has one, with `append` added.

    What is added comes before `--`, where the kernel reads it.
    """

    append: str = ""
    replace: str | None = None

    def line(self, own: str | None = None) -> str:
        """The line for an image whose own one is `own`."""
        base = (own or "") if self.replace is None else self.replace
        return str(parse(base).with_parameters(self.append)) if self.append else base

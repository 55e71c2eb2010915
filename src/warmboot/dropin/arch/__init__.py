"""What depends on the architecture, one folder each, named as `uname -m` does."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.dropin.arch.interface import Options

__all__ = ["KNOWN", "of", "options"]

KNOWN = ("x86_64",)


def of(machine: str) -> Options:
    """The options on computers of that architecture; of an unknown one those of the first, until it is refused."""
    folder = machine if machine in KNOWN else KNOWN[0]
    found: Options = __import__(f"{__name__}.{folder}.options", fromlist=["ARCHITECTURE"])
    return found


def options() -> Options:
    """The options on this computer."""
    return of(os.uname().machine)

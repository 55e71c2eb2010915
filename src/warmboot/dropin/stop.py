"""How the drop-in ends early: the text that goes to stderr, the usage if it is wanted, the exit status."""

from __future__ import annotations

__all__ = ["EFAILED", "EFALLBACK", "Stop"]

# kexec-tools returns negative numbers from main: a script sees 255 and 253. (Its 254, no memory for a crash kernel,
# becomes 255 in every loader of x86_64.)
EFAILED = -1
EFALLBACK = -3


class Stop(Exception):  # noqa: N818 - it is also how a wanted --help ends
    """End with `status`, after `message` (whole lines) on stderr and, if asked, the usage on stdout."""

    def __init__(self, status: int, message: str = "", *, usage: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.usage = usage

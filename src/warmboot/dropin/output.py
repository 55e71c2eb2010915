"""What the drop-in writes to: streams on which nothing that goes wrong changes what is done, as in kexec-tools.

A closed or full stream, or one whose reader is gone, loses what is written; the exit status stays what it would be.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from warmboot.errors import WarmbootError

__all__ = ["Output", "shown", "tell", "told"]


class Output:
    """A descriptor as `sys.stdout` or `sys.stderr`; each text is written at once.

    Control characters are shown as escapes.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, text: str) -> int:
        """Write the text, or as much of it as can be written; its length."""
        data = memoryview("\n".join(map(shown, text.split("\n"))).encode())
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            pass
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write every one."""
        self.write("".join(lines))

    def flush(self) -> None:
        """Nothing waits to be written."""


def shown(text: str) -> str:
    """A name or a word of somebody else's, on one line, with control characters shown as escapes."""
    if text.isascii() and text.isprintable():
        return text
    from warmboot.visible import visible  # noqa: PLC0415 - hardly any text needs it

    return visible(text, keep_tab=True)


def told(error: WarmbootError) -> str:
    """An error in the lines that are for a person."""
    return f"kexec: {shown(str(error))}\nkexec: try: {shown(error.hint)}\n"


def tell(lines: Iterable[str]) -> None:
    """Lines for a person, of which scripts know nothing, on standard error."""
    Output(2).writelines(f"kexec: {line}\n" for line in lines)

"""What is added to a command line so that the boot can be followed."""

from __future__ import annotations

import re

from warmboot.errors import InputError

__all__ = ["seen_on_serial"]

# A command line's words, as next_arg of the kernel's lib/cmdline.c finds them: quotes hold spaces together.
_WORD = re.compile(r'(?:"[^"]*"?|\S)+')


def seen_on_serial(command_line: str, limit: int) -> tuple[str, str]:
    """The command line with what a boot needs to be followed on the serial port, and what was added.

    Raises InputError where the kernel would take the first, of `limit` bytes at most, but not the second.
    """
    words = list(_WORD.finditer(command_line))
    end = next((word.start() for word in words if word[0] == "--"), None)  # what follows is for init
    before, behind = (command_line[:end], command_line[end:]) if end is not None else (command_line, "")
    options = {word[0] for word in words if word.start() < len(before)}
    added = []
    if not any(word == "console=ttyS0" or word.startswith("console=ttyS0,") for word in options):
        added.append("console=ttyS0")
    if "quiet" in options or any(word.startswith("loglevel=") for word in options):
        added.append("loglevel=7")
    if not added:
        return command_line, ""
    text = " ".join(added)
    line = " ".join(each for each in (before.strip(), text, behind) if each)
    if len(_encoded(line)) > limit >= len(_encoded(command_line)):
        raise InputError(
            f"the command line has {len(_encoded(command_line))} bytes, and {text!r}, without which the boot cannot"
            f" be followed, makes it longer than {limit}",
            hint="make it shorter, or leave out the boot by --no-boot",
        )
    return line, text


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")

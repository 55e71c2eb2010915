"""The running kernel's command line, and what of it suits the next kernel."""

from __future__ import annotations

import os

from warmboot.live.files import read, under

__all__ = ["concatenated", "reused", "running", "without"]

_SPACE = " \t\n\r\v\f"


def running(root: str = "/") -> str:
    """/proc/cmdline's first line. Raises OSError."""
    data = read(under(root, "proc/cmdline")).replace(b"\r", b"\n")
    return os.fsdecode(data.partition(b"\n")[0].rstrip(b"\0"))


def reused(root: str = "/", *, panic: bool = False) -> str:
    """What --reuse-cmdline takes over: without the boot loader's BOOT_IMAGE, and for a crash kernel without any
    crashkernel, as memory that is reserved already would be reserved again. Raises OSError."""
    line = without(running(root), "BOOT_IMAGE")
    return without(line, "crashkernel") if panic else line


def without(line: str, name: str) -> str:
    """The command line without the words that begin with `name`, and the one space behind each.

    A word goes on inside double quotes, as the kernel reads it.
    """
    kept, at = [], 0
    while at < len(line):
        end = _end_of_word(line, at)
        if end > at and line.startswith(name, at):
            at = end + (line[end : end + 1] == " ")
            continue
        kept.append(line[at : end + 1])
        at = end + 1
    return "".join(kept)


def _end_of_word(line: str, at: int) -> int:
    """Where the word ends that begins at `at`; `at` itself in white space."""
    quoted = False
    while at < len(line) and (quoted or line[at] not in _SPACE):
        quoted ^= line[at] == '"'
        at += 1
    return at


def concatenated(base: str | None, appended: str | None) -> str | None:
    """The line that --command-line or --reuse-cmdline gave, a space, and the line that --append gave."""
    parts = [each for each in (base, appended) if each is not None]
    return " ".join(parts) if parts else None

"""What an agent in a guest answers, read strictly: a guest is a stranger, and says nothing that becomes a path.

The lines are those of `agent`. Which files a guest tells of is known beforehand; whatever else it names, tells twice or
tells badly is one GuestAnswerError.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterable
from pathlib import Path

from warmboot.errors import InputError, RefusedError
from warmboot.live.facts import read_facts
from warmboot.memmap import Facts
from warmboot.numbers import number
from warmboot.oracle.calls.trace import Answer
from warmboot.oracle.guest.agent import FACTS
from warmboot.visible import visible

__all__ = ["FactsTold", "GuestAnswerError", "facts_of", "read_answer"]

_STATES = ("0", "1", "?")  # of sysfs's loaded and crash_loaded; ? where the kernel has no such file
_S64 = 1 << 63
_LONGEST_SIZE = 40  # characters of hexadecimal: 20 digits
_SHOWN = 60  # characters of a wrong answer


class GuestAnswerError(RefusedError):
    """A line from a guest that answers nothing that was asked; says what the line is and what was expected."""

    def __init__(self, line: str, expected: str) -> None:
        super().__init__(
            f"the guest answers '{visible(line, most=_SHOWN)}', not {expected}",
            hint="record with a kernel whose guest runs the agent, and nothing else on its second serial port",
        )


class FactsTold:
    """The files that a guest tells of, each once, by the names that its agent was given."""

    def __init__(self) -> None:
        self._files: dict[str, bytes | None] = {}

    def __bool__(self) -> bool:
        return bool(self._files)

    def take(self, line: str) -> None:
        """One line `f PATH TEXT`. Raises GuestAnswerError where it tells of another file, of one twice, or badly."""
        words = line.split()
        if len(words) != 3 or words[0] != "f":
            raise GuestAnswerError(line, "'f PATH TEXT'")
        _, path, text = words
        if path not in FACTS:
            raise GuestAnswerError(line, "one of the files that it was asked for")
        if path in self._files:
            raise GuestAnswerError(line, "each file once")
        self._files[path] = _content(line, text)

    def facts(self) -> Facts:
        """The facts as this computer's would be read, from files laid out alike. Raises InputError."""
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            for path in FACTS:  # our names, never the guest's
                content = self._files.get(path)
                if content is not None:
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    (root / path).write_bytes(content)
            try:
                return read_facts(root)
            except InputError as error:
                told = visible(str(error).replace(f"{root}/", "/"))
                raise InputError(f"the guest's facts: {told}", hint="the guest's kernel needs /proc and /sys") from None


def facts_of(lines: Iterable[str]) -> Facts:
    """The facts in an agent's lines `f PATH TEXT`. Raises GuestAnswerError, InputError."""
    told = FactsTold()
    for line in lines:
        told.take(line)
    return told.facts()


def read_answer(line: str) -> Answer:
    """One line `a RET LOADED CRASH_LOADED [SIZE]`. Raises GuestAnswerError."""
    words = line.split()
    if not 4 <= len(words) <= 5 or words[0] != "a":
        raise GuestAnswerError(line, "'a RET LOADED CRASH_LOADED [SIZE]'")
    ret = number(words[1], least=-_S64, most=_S64 - 1)
    if ret is None:
        raise GuestAnswerError(line, "a return value")
    if words[2] not in _STATES or words[3] not in _STATES:
        raise GuestAnswerError(line, "0 or 1 for what is loaded")
    return Answer(ret, words[2], words[3], _size(line, words[4]) if len(words) == 5 else None)


def _size(line: str, text: str) -> str:
    """The size of the crash reservation as sysfs tells it, or the errno's name."""
    content = _content(line, text) if len(text) <= _LONGEST_SIZE or text.startswith("-") else b""
    if content is None:
        return text.removeprefix("-")
    size = content.decode("ascii", "replace").strip()
    if number(size) is None:
        raise GuestAnswerError(line, "a size in bytes")
    return size


def _content(line: str, text: str) -> bytes | None:
    """A file's bytes; None where the guest tells an errno instead."""
    if text.startswith("-"):
        if text[1:] not in errno.errorcode.values():
            raise GuestAnswerError(line, "an errno's name")
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise GuestAnswerError(line, "a file's bytes in hexadecimal") from None

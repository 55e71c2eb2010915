"""The exceptions of warmboot: each has a message that says what is wrong and a hint that says what helps."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitStatus", "InputError", "MissingToolError", "OutOfTimeError", "RefusedError", "WarmbootError"]


class ExitStatus(IntEnum):
    """The exit status of a command."""

    DONE = 0
    REFUSED = 1  # refused or failed: the input was understood, and the answer is no
    USAGE = 2  # wrong usage or unusable input
    NOT_TRIED = 3  # it could not be tried: QEMU or another program is missing, or there is no room
    TIMEOUT = 4  # it did not end in the time allowed


class WarmbootError(Exception):
    """The root of the tree. `str()` is the line that says what is wrong; `hint` says what helps."""

    exit_status = ExitStatus.REFUSED

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class InputError(WarmbootError):
    """A file, an option or a value that cannot be read or understood."""

    exit_status = ExitStatus.USAGE


class RefusedError(WarmbootError):
    """The request is understood and cannot be carried out: no room, wrong machine, a rule that forbids it."""


class MissingToolError(RefusedError):
    """A program that is needed is not installed; the hint is the command that installs it."""

    exit_status = ExitStatus.NOT_TRIED


class OutOfTimeError(RefusedError):
    """What was asked did not end in the time allowed."""

    exit_status = ExitStatus.TIMEOUT

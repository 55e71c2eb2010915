"""What the words on the command line ask makedumpfile for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from warmboot.dropin.getopt import MISTAKE, Getopt
from warmboot.dropin.makedumpfile.options import IGNORED, LONGS, REFUSED, SHORT
from warmboot.dropin.output import shown

__all__ = ["COMMON", "DEBUG", "ERROR", "PROGRESS", "REPORT", "Command", "InvalidError", "parse"]

PROGRESS, COMMON, ERROR, DEBUG, REPORT = 1, 2, 4, 8, 16  # message levels
_DEFAULT_LEVEL = 7
_CODECS = {"c": "zlib", "l": "lzo", "p": "snappy", "z": "zstd"}
_MORE = {"D": DEBUG, "show-stats": REPORT}
_SETTERS = {
    "E": "elf",
    "F": "flatten",
    "f": "force",
    "R": "rearrange",
    "v": "version",
    "h": "usage",
    "split": "split",
    "reassemble": "reassemble",
    "dump-dmesg": "dmesg",
    "mem-usage": "mem_usage",
    "check-params": "check",
    "dry-run": "dry_run",
}


class InvalidError(Exception):
    """The words make no sense; the text is whole lines, or empty where getopt has spoken."""


@dataclass(slots=True)
class Command:
    """The options as given; the last of several codecs counts."""

    codec: str = "none"
    levels: tuple[int, ...] = (0,)
    elf: bool = False
    flatten: bool = False
    force: bool = False
    rearrange: bool = False
    version: bool = False
    usage: bool = False
    split: bool = False
    reassemble: bool = False
    dmesg: bool = False
    mem_usage: bool = False
    check: bool = False
    dry_run: bool = False
    threads: int = 0
    messages: int = _DEFAULT_LEVEL
    operands: list[str] = field(default_factory=list)

    def check_operands(self) -> None:
        """Raises InvalidError unless there are as many files as the action takes, and options that go together."""
        count = len(self.operands)
        if self.rearrange:
            fits = count == 1 and not (self.elf or self.codec != "none" or self.flatten or self.split)
        elif self.reassemble:
            fits = count >= 2 and not (self.flatten or self.dry_run)
        elif self.dmesg:
            fits = count == 2
        elif self.mem_usage:
            fits = count == 1
        else:
            fits = not (self.elf and self.codec != "none") and not (self.split and (self.elf or self.flatten))
            fits = fits and (count >= 3 if self.split else count == (1 if self.flatten else 2))
        if not fits:
            raise InvalidError("")


def parse(argv: Sequence[str], complain: Callable[[str], object], command: Command) -> None:
    """Note in `command` what `argv` asks for. Raises InvalidError; what came before is noted."""
    pass_ = Getopt(argv, SHORT, LONGS, complain=complain)
    more = 0
    for found, argument, typed in pass_:
        meaning = str(found)
        if meaning == MISTAKE:
            raise InvalidError("")
        if meaning in REFUSED:
            name = f"-{meaning}" if len(meaning) == 1 else f"--{meaning}"
            raise InvalidError(f"{name} is not supported: it {REFUSED[meaning]}.\n")
        if meaning in _MORE:
            more |= _MORE[meaning]
        elif meaning not in IGNORED:
            _set(command, meaning, argument, typed)
    command.operands = pass_.operands
    command.messages |= more
    if command.check:
        command.messages = _DEFAULT_LEVEL


def _set(command: Command, meaning: str, argument: str, typed: str) -> None:
    """Note one option. Raises InvalidError."""
    if meaning in _CODECS:
        command.codec = _CODECS[meaning]
    elif meaning in _SETTERS:
        setattr(command, _SETTERS[meaning], True)
    elif meaning == "d":
        command.levels = _levels(argument)
    elif meaning == "message-level":
        command.messages = _number(argument)
        if not 0 <= command.messages <= 31:
            raise InvalidError(f"Message_level({command.messages}) is invalid.\n")
    elif meaning == "num-threads":
        command.threads = max(0, _number(argument))
    else:
        raise InvalidError(f"{shown(typed)} is not supported.\n")


def _levels(text: str) -> tuple[int, ...]:
    """The levels, lowest first: the next one is tried where the disk is too small for a dump. Raises InvalidError."""
    levels = sorted({_number(each) for each in text.split(",")})
    for each in levels:
        if not 0 <= each <= 31:
            raise InvalidError(f"Dump_level({each}) is invalid.\n")
    return tuple(levels)


def _number(text: str) -> int:
    """As C's atoi() reads it: the digits that `text` begins with, or 0."""
    text = text.lstrip(" \t\n")
    sign, digits = (-1 if text[:1] == "-" else 1), text[1:] if text[:1] in ("+", "-") else text
    end = next((at for at, each in enumerate(digits) if each not in "0123456789"), len(digits))
    return sign * int(digits[: min(end, 18)] or "0")

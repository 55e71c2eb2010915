"""What an agent in a guest says, line by line: strictly read, as the kernel under test may say anything in its place.

Nothing that a guest says becomes a path, an option or a format: the files that it tells of are those it was asked
for (`agent.FACTS`), and every number has its limits.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace
from typing import TypeAlias

from warmboot.errors import InputError
from warmboot.numbers import number
from warmboot.oracle.guest.agent import FACTS
from warmboot.visible import visible

__all__ = ["AgentError", "AnswerTold", "Done", "FailureTold", "FileTold", "Told", "parse"]

_KNOWN = frozenset(FACTS)
_LARGEST = 1 << 20  # bytes of a file: the largest known /proc/iomem has some 200 KiB
_SHOWN = 60  # characters of a wrong line
_STATES = ("0", "1", "?")


class AgentError(InputError):
    """A line that no agent of ours writes."""

    def __init__(self, problem: str, line: str) -> None:
        super().__init__(
            f"the guest says '{visible(line, most=_SHOWN)}': {problem}",
            hint="the kernel under test does not run our agent as its first program: look at its console",
        )


@dataclass(frozen=True, slots=True)
class FileTold:
    """The content of a file that was asked for, or an errno's name."""

    path: str
    content: bytes
    error: str = ""


@dataclass(frozen=True, slots=True)
class AnswerTold:
    """The answer to the next operation, as `oracle.calls.trace.Answer` has it."""

    ret: int
    loaded: str
    crash_loaded: str
    crash_size: str | None
    out: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """Everything is played."""


@dataclass(frozen=True, slots=True)
class FailureTold:
    """The agent itself failed."""

    text: str


Told: TypeAlias = FileTold | AnswerTold | Done | FailureTold


def parse(line: str) -> Told:
    """What the agent's line says. Raises AgentError."""
    match line.split(" "):
        case ["f", path, text]:
            return _file(path, text, line)
        case ["a", ret, loaded, crash_loaded, *size] if len(size) <= 1:
            value = number(ret, least=-(1 << 63), most=(1 << 63) - 1)
            if value is None:
                raise AgentError("its return value is no 64-bit number", line)
            if loaded not in _STATES or crash_loaded not in _STATES:
                raise AgentError("whether an image is loaded is 0, 1 or ?", line)
            return AnswerTold(value, loaded, crash_loaded, _size(size[0], line) if size else None)
        case ["b", ret, loaded, crash_loaded, out]:
            told = parse(f"a {ret} {loaded} {crash_loaded}")
            assert isinstance(told, AnswerTold)
            return replace(told, out=None if out == "-" else _bytes(out, line).hex())
        case ["done"]:
            return Done()
        case ["x", *_]:
            return FailureTold(visible(line[2:], most=1000))
        case _:
            raise AgentError("no agent says that", line)


def _file(path: str, text: str, line: str) -> FileTold:
    if path not in _KNOWN:
        raise AgentError("nobody asked for that file", line)
    if text.startswith("-"):
        return FileTold(path, b"", _errno(text[1:], line))
    return FileTold(path, _bytes(text, line))


def _size(text: str, line: str) -> str:
    if text.startswith("-"):
        return _errno(text[1:], line)
    size = _bytes(text, line).decode("ascii", "replace").strip()
    if number(size) is None:
        raise AgentError("the size of the reservation is no 64-bit number", line)
    return size


def _errno(name: str, line: str) -> str:
    if name not in errno.errorcode.values():
        raise AgentError("no errno has that name", line)
    return name


def _bytes(text: str, line: str) -> bytes:
    if len(text) > 2 * _LARGEST:
        raise AgentError(f"a file of more than {_LARGEST} bytes", line)
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise AgentError("its content is not hexadecimal", line) from None

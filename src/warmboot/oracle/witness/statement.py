"""What a witness says: its report as it comes over the serial port."""

from __future__ import annotations

import re
from dataclasses import dataclass

from warmboot.errors import RefusedError
from warmboot.oracle.witness.arch import ReportRules
from warmboot.visible import visible

__all__ = ["Mapped", "Statement", "StatementError"]

_BEGIN, _END = "witness: entered", "witness: end"
_MAP = re.compile(r"map ([0-9a-f]{16})-([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f])")
_LOST = re.compile(r"lost ([0-9a-f]{16})")
_STACK = re.compile(r"stack ([0-9a-f]{16})")
_RANGE = re.compile(r"range ([0-9a-f]{16})-([0-9a-f]{16}) ([0-9a-f]{64})")

_SHOWN = 100  # characters of a wrong line


class StatementError(RefusedError):
    """A report that breaks off, or is none."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="the image crashed, or was never entered: look at the lines above")


@dataclass(frozen=True, slots=True)
class Mapped:
    """Virtual bytes from `virtual` on, mapped to physical ones; `rights` are 2 writable, 4 user, 8 not executable."""

    virtual: int
    size: int
    physical: int
    rights: int

    def contains(self, address: int) -> bool:
        """Whether that virtual address is mapped by this."""
        return self.virtual <= address < self.virtual + self.size

    def __str__(self) -> str:
        return f"{self.virtual:#x}-{self.virtual + self.size - 1:#x} to {self.physical:#x}, rights {self.rights:x}"


@dataclass(frozen=True, slots=True)
class Statement:
    """One report: registers by name, the mapping, the word at the top of the stack, (start, end, SHA-256) of ranges.

    `lost` are the first virtual addresses of page tables that lie in a destination, and so hold no entries any more.
    """

    registers: dict[str, int]
    mapping: tuple[Mapped, ...]
    lost: tuple[int, ...]
    stack: int
    digests: tuple[tuple[int, int, str], ...]

    @classmethod
    def parse(cls, text: str, rules: ReportRules) -> Statement:
        """The report in what came over the serial port; what is before and after it does not matter.

        Raises StatementError, naming the line that is missing or wrong.
        """
        lines = [line.rstrip("\r") for line in text.split("\n")]
        if _BEGIN not in lines:
            raise StatementError("the witness was never entered")
        rest = iter(lines[lines.index(_BEGIN) + 1 :])
        line = next(rest, "")
        registers = {}
        for name in rules.registers:
            match = re.fullmatch(rf"{name} ([0-9a-f]{{16}})", line)
            if match is None:
                raise StatementError(f"the witness's report has {_shown(line)} for the register {name}")
            registers[name] = int(match[1], 16)
            line = next(rest, "")
        mapping, lost = [], []
        while True:
            if match := _MAP.fullmatch(line):
                start, end, physical, rights = (int(each, 16) for each in match.groups())
                mapping.append(Mapped(rules.canonical(start, registers), end - start, physical, rights))
            elif match := _LOST.fullmatch(line):
                lost.append(rules.canonical(int(match[1], 16), registers))
            else:
                break
            line = next(rest, "")
        match = _STACK.fullmatch(line)
        if match is None:
            raise StatementError(f"the witness's report has {_shown(line)} for the top of the stack")
        stack = int(match[1], 16)
        line = next(rest, "")
        digests = []
        while match := _RANGE.fullmatch(line):
            digests.append((int(match[1], 16), int(match[2], 16), match[3]))
            line = next(rest, "")
        if line != _END:
            raise StatementError(f"the witness's report has {_shown(line)} after {len(digests)} ranges")
        return cls(registers, tuple(mapping), tuple(lost), stack, tuple(digests))

    @property
    def identity(self) -> list[Mapped]:
        """What is mapped to itself."""
        return [each for each in self.mapping if each.virtual == each.physical]


def _shown(line: str) -> str:
    return f"'{visible(line, most=_SHOWN)}'"

"""What an architecture must tell of its machine code."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

__all__ = ["CodeArch", "Flow"]


class Flow(Enum):
    """Where the processor goes behind an instruction."""

    ON = auto()  # to the next one, also behind a call
    BRANCH = auto()  # to its target, or to the next one
    JUMP = auto()  # to its target, if objdump knows one
    END = auto()  # back, or nowhere
    TRAP = auto()  # to the next one where the kernel only warns
    PADDING = auto()  # nothing leads here


class CodeArch(Protocol):
    """What objdump prints of the architecture's code."""

    @property
    def prefixes(self) -> frozenset[str]:
        """Words before an instruction's name."""
        ...

    @property
    def feature_tests(self) -> str:
        """The section with tests of the processor's features, which run until the code that jumps there is patched."""
        ...

    def flow(self, name: str) -> Flow:
        """Of the instruction of that name."""
        ...

"""Why some blocks are not come to: a table for each series of kernels, by function and line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from warmboot.errors import InputError
from warmboot.oracle.reached.blocks import Block

__all__ = ["Kind", "Reason", "Reasons", "key"]


class Kind(StrEnum):
    """Kinds of reasons. All but the last two are of blocks that no call comes to without fault injection, here."""

    FAULT = "fault"
    IMPOSSIBLE = "impossible"
    CONFIG = "config"
    BOOT = "boot"
    UNPLAYED = "unplayed"
    CHANCE = "chance"

    @property
    def reachable(self) -> bool:
        """Whether a call, or what else a trace or a witness could do, would come to such a block."""
        return self in (Kind.UNPLAYED, Kind.CHANCE)

    @property
    def heading(self) -> str:
        """What readers are told."""
        return _TITLES[self]


_TITLES = {
    Kind.FAULT: "Only by fault injection: memory runs out, or the kernel itself fails",
    Kind.IMPOSSIBLE: "What cannot happen here: checks of what the kernel made itself, and code for other architectures",
    Kind.CONFIG: "What this kernel's configuration, or the machine's hardware, leaves out",
    Kind.BOOT: "What runs while the kernel boots, before there is a process",
    Kind.UNPLAYED: "Reachable, and not played",
    Kind.CHANCE: "Reached in some runs, by the pages that happen to be free",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """A kind, and the condition that is never true."""

    kind: Kind
    condition: str


def key(block: Block) -> tuple[str, int]:
    """What a table calls that block: its function, with the inlined one behind a slash, and the line below its name."""
    inner = block.place.function
    return (block.function if inner == block.function else f"{block.function}/{inner}", block.place.offset)


class Reasons:
    """The table in `path`. Raises InputError where it is none, or has a line twice."""

    def __init__(self, path: Path) -> None:
        self._rows: dict[tuple[str, int], Reason] = {}
        try:
            tables = tomllib.loads(path.read_text()).get("reason", [])
            for each in tables:
                self._add(Reason(Kind(each["kind"]), str(each["condition"])), each["lines"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: no table of reasons: {error}", hint="see bench/unreached") from None

    def _add(self, reason: Reason, lines: Mapping[str, Iterable[int]]) -> None:
        for function, offsets in lines.items():
            for each in offsets:
                if (function, each) in self._rows:
                    raise ValueError(f"{function} has line {each} twice")
                self._rows[function, each] = reason

    def of(self, block: Block) -> Reason | None:
        """Why that block is not come to, if the table says it."""
        return self._rows.get(key(block))

    def idle(self, unreached: Iterable[Block]) -> list[tuple[str, int]]:
        """Rows without a block that is not come to, but those of chance: they are wrong, or of another kernel."""
        rows = {row for row, reason in self._rows.items() if reason.kind is not Kind.CHANCE}
        return sorted(rows - {key(each) for each in unreached})

"""What was asked of a roll: kept in its journal, so that it is resumed as it was begun."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from warmboot.errors import InputError
from warmboot.numbers import number

__all__ = ["BATCH", "Settings", "batch_size"]

BATCH = "10%"
_MOST = 100_000  # machines in a batch


@dataclass(frozen=True, slots=True)
class Settings:
    """Paths are absolute, times are seconds, `batch` is a number of machines or a percentage of all.

    `health` runs on the controller, or with `health_there` on the machine; `before`, `after` and `fallback` are
    commands of the controller. Empty is none.
    """

    kernel: str
    inventory: tuple[str, ...]
    limit: str = "all"
    initrds: tuple[str, ...] = ()
    command_line: str | None = None
    append: str = ""
    call: str = "auto"
    profile: str | None = None
    canary: int = 1
    batch: str = BATCH
    health: str = ""
    health_there: bool = False
    health_within: float = 60.0
    before: str = ""
    after: str = ""
    fallback: str = ""
    timeout: float = 300.0
    fallback_timeout: float = 600.0
    step_timeout: float = 120.0
    rehearse: bool = True
    rehearse_timeout: float = 180.0
    leave_out: bool = False  # machines that refuse, or cannot be reached
    again: bool = False  # also machines that run the release already
    become: bool = False
    forks: int = 32

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """What `to_json` wrote. Raises InputError where it is something else."""
        try:
            members: Mapping[str, Any] = json.loads(text)
            known = {each.name: members[each.name] for each in fields(cls) if each.name in members}
            lists = {name: tuple(known[name]) for name in ("inventory", "initrds")}
            return cls(**{**known, **lists})
        except (ValueError, TypeError, KeyError, AttributeError):
            raise InputError("the journal does not say what was asked of this roll", hint="begin a new one") from None


def batch_size(text: str, machines: int) -> int:
    """How many of `machines` a batch has, at least 1. Raises InputError for what is no number and no percentage."""
    percentage = text.endswith("%")
    value = number(text.removesuffix("%"), least=1, most=100 if percentage else _MOST)
    if value is None:
        raise InputError(f"--batch {text[:40]}: neither a number of machines nor 1% to 100%", hint="such as 5 or 10%")
    return max(1, machines * value // 100) if percentage else value

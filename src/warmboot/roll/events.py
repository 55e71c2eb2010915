"""What Ansible tells: lines of JSON, of which part was said by the machines; bounded and typed here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from warmboot.visible import visible

__all__ = ["MOST_LINE", "Event", "Told", "read_event"]

MOST_LINE = 16 << 20  # bytes: a machine's facts, up to 4 Mi characters, escaped
_MOST_TEXT = 400
_KINDS = frozenset({"begin", "ok", "failed", "unreachable", "skipped", "end"})


@dataclass(frozen=True, slots=True)
class Told:
    """What the collection's modules return: of the state, of a jump, of a probe. Seconds; empty where not said."""

    boot_id: str = ""
    release: str = ""
    how: str | None = None
    by: str = ""
    output: str = ""
    seconds: float | None = None
    lost: bool = False
    stayed: bool = False


class Event(NamedTuple):
    """`kind` is begin, ok, failed, unreachable, skipped, or end, which is of all."""

    kind: str
    machine: str
    step: str
    told: Told = Told()
    message: str = ""


def read_event(line: bytes) -> Event | None:
    """The event of a line; None for what is none."""
    try:
        members = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, dict) or members.get("event") not in _KINDS:
        return None
    machine, step = members.get("machine"), members.get("step")
    if not isinstance(machine, str) or not isinstance(step, str):
        return None
    said = members.get("warmboot")
    message = members.get("message")
    text = " ".join(message.split()) if isinstance(message, str) else ""
    return Event(
        str(members["event"]),
        machine,
        visible(step, most=60),
        _told(said if isinstance(said, dict) else {}),
        visible(text, most=_MOST_TEXT),
    )


def _told(members: Mapping[str, Any]) -> Told:
    def text(name: str, most: int = 128) -> str:
        value = members.get(name)
        return visible(value, most=most) if isinstance(value, str) else ""

    seconds, output = members.get("seconds"), members.get("output")
    known = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < 1e9
    return Told(
        boot_id=text("boot_id"),
        release=text("release"),
        how=text("how") if members.get("how") in ("kexec", "firmware") else None,
        by=text("by"),
        output=output if isinstance(output, str) else "",
        seconds=float(seconds) if known and seconds is not None else None,
        lost=members.get("lost") is True,
        stayed=members.get("stayed") is True,
    )

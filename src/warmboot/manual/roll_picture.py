"""The picture of a roll: what the terminal showed of one that `python bench/roll.py` really made, kept beside this."""

from __future__ import annotations

import io
import json
from dataclasses import fields
from importlib.resources import files
from typing import Any

from warmboot.manual.terminal_picture import terminal_picture
from warmboot.report.text.roll import show_roll
from warmboot.report.text.terminal import Terminal
from warmboot.roll.answers import RollAnswer, RollMachine, RollRehearsal, RollStep

__all__ = ["roll_picture"]

_COLUMNS = 118
_TITLE = "warmboot roll status: three of six machines have switched, one fell back, one is not healthy, one waits"


def roll_picture() -> str:
    """SVG."""
    out = io.StringIO()
    terminal = Terminal(out, colour=True)
    terminal.width = _COLUMNS
    show_roll(_recorded(), terminal=terminal)
    lines = ["$ warmboot roll status", *out.getvalue().rstrip("\n").split("\n")[1:]]
    return terminal_picture(_TITLE, lines, _COLUMNS)


def _recorded() -> RollAnswer:
    members: dict[str, Any] = json.loads((files("warmboot.manual") / "roll.json").read_text("utf-8"))
    known = {each.name: members[each.name] for each in fields(RollAnswer)}
    known["kernel"] = members["kernel"].rpartition("/")[2]
    known["batches"] = tuple(map(tuple, known["batches"]))
    known["rehearsals"] = tuple(RollRehearsal(**each) for each in known["rehearsals"])
    known["machines"] = tuple(
        RollMachine(**{**each, "steps": tuple(RollStep(**step) for step in each["steps"])})
        for each in known["machines"]
    )
    return RollAnswer(**known)


def _machine(members: dict[str, Any]) -> RollMachine:
    return RollMachine(**{**members, "steps": tuple(RollStep(**each) for each in members["steps"])})

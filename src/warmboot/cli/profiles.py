"""`--profile list`."""

from __future__ import annotations

from warmboot.kernel import PROFILES, Profile
from warmboot.kernel import profile_named as named
from warmboot.report.text.terminal import Terminal
from warmboot.report.text.words import table

__all__ = ["print_profiles", "profile_named"]


def print_profiles() -> None:
    """The names of all profiles, and the first release that each stands for."""
    rows = [("profile", "from release")]
    rows += [(each.name, ".".join(map(str, each.since))) for each in PROFILES]
    terminal = Terminal()
    for line in table(rows):
        terminal.line(line)


def profile_named(name: str | None) -> Profile | None:
    """The profile of that name, or None where none is named. Raises InputError."""
    return None if name is None else named(name)

"""The profile that a rehearsal is asked for by name."""

from __future__ import annotations

from warmboot.errors import InputError
from warmboot.kernel import PROFILES, Facts, Profile, profile_for

__all__ = ["profile_named"]


def profile_named(name: str | None, facts: Facts) -> Profile:
    """The profile `name`, or the one that fits the facts. Raises InputError."""
    if name is None:
        return profile_for(facts)
    for profile in PROFILES:
        if profile.name == name:
            return profile
    raise InputError(
        f"--profile {name}: no such profile", hint=f"these are known: {', '.join(each.name for each in PROFILES)}"
    )

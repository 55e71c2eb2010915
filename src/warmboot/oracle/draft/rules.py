"""The rules of a profile by name: what each is, and what it may be."""

from __future__ import annotations

from collections.abc import Sequence

from warmboot.kernel import PROFILES, Profile
from warmboot.kernel.arch import of
from warmboot.kernel.profile_file import RULES, with_rules

__all__ = ["RULES", "own_names", "rules_of", "values_of", "with_rules"]


def own_names(machine: str) -> Sequence[str]:
    """The names of the architecture's own rules."""
    return tuple(of(machine).own_rules())


def rules_of(profile: Profile, machine: str) -> dict[str, int]:
    """Every rule of that profile, by name."""
    return {name: getattr(profile, name) for name in RULES} | dict(of(machine).own_values(profile))


def values_of(rule: str, machine: str) -> Sequence[int]:
    """What a rule may be: what it is in one profile or another, the newest first, and what else is likely."""
    if rule in RULES:
        return tuple(dict.fromkeys(getattr(each, rule) for each in PROFILES))
    return of(machine).own_rules()[rule]

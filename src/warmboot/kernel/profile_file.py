"""A profile in a file, as `warmboot fuzz --draft-profile --out` writes it and `--profile FILE` reads it: a JSON object.

    {"profile": 1, "name": "linux-7.3", "since": "7.3", "machine": "x86_64", "like": "linux-7.2",
     "changes": {"new_file_flags": 120}}

`like` is a profile by its name, `changes` are the rules that differ from it; other members are for people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from warmboot.errors import InputError
from warmboot.kernel.arch import of
from warmboot.kernel.profile import PROFILES, Profile
from warmboot.visible import visible

__all__ = ["PROFILE_VERSION", "RULES", "is_profile_file", "read_profile", "with_rules"]

PROFILE_VERSION = 1
RULES: tuple[str, ...] = tuple(each.name for each in fields(Profile) if each.name not in ("name", "since", "own"))
_HINT = "write one with 'warmboot fuzz --draft-profile VMLINUZ --out FILE'"
_LARGEST = 1 << 20  # bytes: one with all its evidence has some 20 KiB
_NAME = re.compile(r"[a-z0-9][a-z0-9.+_-]{0,39}", re.ASCII)
_SINCE = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})", re.ASCII)
_MOST = (1 << 63) - 1


def is_profile_file(name: str) -> bool:
    """Whether a word given to --profile is a file's name: no profile's name has a slash or ends so."""
    return "/" in name or name.endswith(".json")


def with_rules(profile: Profile, machine: str, changes: Mapping[str, int]) -> Profile:
    """The profile with other rules, the architecture's among them; flags and truth values may be plain numbers."""
    general: dict[str, Any] = {
        name: type(getattr(profile, name))(value) for name, value in changes.items() if name in RULES
    }
    own = dict(of(machine).own_values(profile))
    own |= {name: int(value) for name, value in changes.items() if name not in RULES}
    by_release = of(machine).own_values(replace(profile, own=()))
    different = tuple((name, int(value)) for name, value in own.items() if value != by_release[name])
    return replace(profile, own=different, **general)


def read_profile(path: str) -> Profile:
    """The profile in that file. Raises InputError, which names the file and what is wrong."""
    shown = visible(path, most=200)
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise InputError(f"{shown}: more than {_LARGEST} bytes", hint=_HINT)
        members: Any = json.loads(data)
    except OSError as error:
        raise InputError(f"{shown}: cannot be read: {error.strerror}", hint=_HINT) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{shown}: not JSON: {visible(str(error), most=100)}", hint=_HINT) from None
    if not isinstance(members, dict) or members.get("profile") != PROFILE_VERSION:
        raise InputError(f"{shown}: no profile of version {PROFILE_VERSION}", hint=_HINT)
    try:
        return _profile(members)
    except _WrongError as error:
        raise InputError(f"{shown}: {error}", hint=_HINT) from None


class _WrongError(Exception):
    """A member that is wrong; says which."""


def _profile(members: Mapping[str, Any]) -> Profile:
    name, since = _text(members, "name", _NAME), _SINCE.fullmatch(_text(members, "since", _SINCE))
    assert since is not None
    machine, like = _text(members, "machine", _NAME), _text(members, "like", _NAME)
    base = next((each for each in PROFILES if each.name == like), None)
    if base is None:
        raise _WrongError(f"like: there is no profile {visible(like, most=40)}")
    changes = members.get("changes")
    if not isinstance(changes, dict):
        raise _WrongError("changes: not an object")
    own = of(machine).own_values(base)
    for rule, value in changes.items():
        before = getattr(base, rule) if rule in RULES else own.get(rule)
        if before is None:
            raise _WrongError(f"changes: {visible(rule, most=40)} is no rule of a profile")
        if isinstance(value, bool) != isinstance(before, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
            kind = "true or false" if isinstance(before, bool) else "a number"
            raise _WrongError(f"changes: {visible(rule, most=40)} is not {kind}")
    named = replace(base, name=name, since=(int(since[1]), int(since[2])), own=())
    return with_rules(named, machine, {**own, **changes})


def _text(members: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise _WrongError(f"{name}: missing, or no such name")
    return value

"""What changed between releases on x86_64 alone."""

from __future__ import annotations

from dataclasses import fields

import pytest

from support.kernels import facts_of
from warmboot.kernel import PROFILES, choose
from warmboot.kernel.arch.x86_64.profile import X86Profile, x86_profile

# Each fact, with the last release before its change, the first one after it, and its value in each.
CHANGES = [
    ("gbpages_only_when_full", "6.10", False, "6.11", True),
    ("pgd_in_control_code", "6.11", True, "6.12", False),
    ("control_code_order", "6.11", 1, "6.12", 0),
    ("control_page_in_direct_map", "6.13", False, "6.14", True),
    ("purgatory_size", "5.14", 0x6000, "5.15", 0x5000),
    ("elf_headers_grow_to", "6.5", 0, "6.6", 917680),
    ("marks_setup_data", "6.9", True, "6.10", False),
    ("leaves_gdt", "6.14", False, "6.15", True),
    ("pushes_return_address", "6.19", False, "7.0", True),
]


def profile_of(release: str) -> X86Profile:
    return x86_profile(choose(facts_of(release=release)).profile)


@pytest.mark.parametrize(("fact", "last", "before", "first", "after"), CHANGES)
def test_changes(fact: str, last: str, before: object, first: str, after: object) -> None:
    assert getattr(profile_of(last), fact) == before
    assert getattr(profile_of(first), fact) == after
    assert getattr(profile_of("99.0"), fact) == after


def test_the_releases_that_leave_an_empty_stack() -> None:
    pushes = {name: profile_of(name).pushes_return_address for name in ("6.12", "6.15", "6.16", "6.19", "7.0")}
    assert pushes == {"6.12": True, "6.15": True, "6.16": False, "6.19": False, "7.0": True}


def test_what_stable_releases_of_6_1_have_before_its_time() -> None:
    has = {name: profile_of(name).gbpages_only_when_full for name in ("5.10", "5.15", "6.0", "6.1", "6.3")}
    assert has == {"5.10": False, "5.15": False, "6.0": False, "6.1": True, "6.3": False}


def test_every_fact_has_its_release_and_every_profile_its_part() -> None:
    assert {each.name for each in fields(X86Profile)} - {"since"} == {each[0] for each in CHANGES} - {
        "control_code_order"
    }
    assert all(x86_profile(each).since <= each.since for each in PROFILES)

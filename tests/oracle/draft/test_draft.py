"""A drafted profile: asked of the model under each profile, every rule is found again, wherever the draft begins."""

from __future__ import annotations

import json
import lzma
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from warmboot.errors import InputError
from warmboot.kernel import PROFILES, Profile, choose, profile_named
from warmboot.memmap import Facts
from warmboot.oracle.calls.contents import Contents
from warmboot.oracle.calls.trace import Answer, KexecLoad, Operation
from warmboot.oracle.draft.decide import played
from warmboot.oracle.draft.draft import Draft, Oracle, answered, drafted
from warmboot.oracle.draft.handed_on import FILE_HANDED_ON, HANDED_ON
from warmboot.oracle.draft.questions import MACHINES, Spot
from warmboot.oracle.draft.rules import rules_of, values_of, with_rules
from warmboot.oracle.draft.written import evidence, nearest, profile_json, snippet, unexplained_lines
from warmboot.uapi import KexecFileFlags

MACHINE = "x86_64"
SEEN_BY_WITNESSES = (*HANDED_ON, *FILE_HANDED_ON)
TRACES = Path(__file__).parents[2] / "traces"


@cache
def facts_on(spot: Spot) -> Facts:
    """What real kernels told of such machines."""
    main, split, _ = MACHINES
    names = {main: "linux-7.2-main", split: "linux-5.10-high-4-GiB"}
    if spot in names:
        with lzma.open(TRACES / f"{names[spot]}.jsonl.xz", "rt") as file:
            return replace(Facts.from_json(file.readline()), release="9.1.0")
    reserved = Facts.of_pc(1 << 30, release="9.1.0", crashkernel=600 << 20)
    return replace(reserved, totalram_pages=100_000, la57=True)


def as_if(real: Profile, errors: dict[int, int] | None = None) -> Oracle:
    """A kernel with the rules of `real`, which says another errno where `errors` has one."""

    def oracle(spot: Spot, operations: Sequence[Operation], contents: Contents) -> tuple[Facts, Sequence[Answer]]:
        said = [each for each, _ in played(facts_on(spot), operations, real, contents)]
        return facts_on(spot), [each._replace(ret=(errors or {}).get(each.ret, each.ret)) for each in said]

    return oracle


def draft_of(real: Profile, base: Profile, errors: dict[int, int] | None = None) -> Draft:
    contents = Contents()
    return drafted(list(answered(as_if(real, errors), contents)), contents, base)


def shown_rules(profile: Profile) -> dict[str, int]:
    """All that a return value shows."""
    return {name: value for name, value in rules_of(profile, MACHINE).items() if name not in SEEN_BY_WITNESSES}


@pytest.mark.parametrize("real", PROFILES, ids=lambda each: each.name)
def test_every_rule_is_found(real: Profile) -> None:
    """From the profile that is farthest."""
    base = PROFILES[0] if real.since < (6, 6) else PROFILES[-1]
    draft = draft_of(real, base)
    assert shown_rules(draft.profile) == shown_rules(real)
    assert set(draft.undecided) == set(HANDED_ON)
    assert not draft.unexplained
    assert (draft.profile.name, draft.profile.since) == ("linux-9.1", (9, 1))


OF_4096_PROCESSORS = 64 + 56 * (2 + 4096 + 8192)


@pytest.mark.parametrize("rule", sorted(set(shown_rules(PROFILES[0])) - {"takes_cma", "new_file_flags"}))
def test_a_kernel_that_differs_in_one_rule_alone(rule: str) -> None:
    contents = Contents()
    values = [*values_of(rule, MACHINE)[:2], *((OF_4096_PROCESSORS,) if rule == "elf_headers_grow_to" else ())]
    for value in values:
        real = with_rules(PROFILES[0], MACHINE, {rule: value})
        found = [each for each in answered(as_if(real), contents) if rule in each.question.rules]
        draft = drafted(found, contents, PROFILES[0])
        assert shown_rules(draft.profile) == shown_rules(real), rule
        decisions = [each for each in draft.decisions if each.rule == rule]
        assert all(each.decided and each.telling is not None and list(evidence(each)) for each in decisions)
        assert decisions


def test_flags_that_no_profile_has() -> None:
    flags = KexecFileFlags(int(PROFILES[0].new_file_flags) | 0x40)
    draft = draft_of(replace(PROFILES[0], new_file_flags=flags), PROFILES[0])
    assert draft.profile.new_file_flags == flags
    assert snippet(draft) == [
        'linux_9_1 = replace(newest, name="linux-9.1", since=(9, 1), new_file_flags=KexecFileFlags(0x78))'
    ]


def test_rules_of_the_architecture_are_written_where_they_belong() -> None:
    draft = draft_of(with_rules(PROFILES[0], MACHINE, {"purgatory_size": 0x7000}), PROFILES[0])
    assert snippet(draft) == [
        'linux_9_1 = replace(newest, name="linux-9.1", since=(9, 1))',
        "# and in kernel/arch/x86_64/profile.py, of the one before it there:",
        "linux_9_1 = replace(..., since=(9, 1), purgatory_size=0x7000)",
    ]


def test_a_known_profile_needs_no_lines() -> None:
    draft = draft_of(profile_named("linux-5.10"), profile_named("linux-7.2"))
    # What only the witness tells is that of the profile it began with.
    told = {rule: rules_of(profile_named("linux-5.10"), MACHINE)[rule] for rule in SEEN_BY_WITNESSES}
    known, changes = nearest(replace(draft, profile=with_rules(draft.profile, MACHINE, told)))
    assert (known.name, changes) == ("linux-5.10", {})


def test_what_no_rule_explains_is_told() -> None:
    ebusy, einval = -16, -22
    draft = draft_of(PROFILES[0], PROFILES[0], {einval: ebusy})
    kinds = {(each.linux, each.model) for each in draft.unexplained}
    assert kinds == {(ebusy, einval)}
    assert any(isinstance(each.operation, KexecLoad) for each in draft.unexplained)
    lines = [line for each in draft.unexplained for line in unexplained_lines(each)]
    assert any("the kernel EBUSY, the model EINVAL" in line for line in lines)


@pytest.mark.parametrize("real", [PROFILES[0], profile_named("linux-6.1"), PROFILES[-1]], ids=lambda each: each.name)
def test_the_file_is_read_back(real: Profile, tmp_path: Path) -> None:
    changed = with_rules(real, MACHINE, {"purgatory_size": 0x8000, "load_limits": not real.load_limits})
    draft = draft_of(changed, PROFILES[0])
    path = tmp_path / "profile.json"
    path.write_text(profile_json(draft))
    read = profile_named(str(path))
    assert rules_of(read, MACHINE) == rules_of(draft.profile, MACHINE)
    assert (read.name, read.since) == ("linux-9.1", (9, 1))
    assert choose(facts_on(MACHINES[0]), str(path)).profile == read


GOOD = {
    "profile": 1,
    "name": "linux-9.1",
    "since": "9.1",
    "machine": MACHINE,
    "like": "linux-7.2",
    "changes": {"load_limits": False, "purgatory_size": 24576},
}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"profile": 2}, "no profile of version 1"),
        ({"like": "linux-9.9"}, "like: there is no profile"),
        ({"since": "9"}, "since: missing"),
        ({"name": "a b"}, "name: missing"),
        ({"changes": []}, "changes: not an object"),
        ({"changes": {"load_limits": 1}}, "load_limits is not true or false"),
        ({"changes": {"purgatory_size": "big"}}, "purgatory_size is not a number"),
        ({"changes": {"purgatory_size": -1}}, "purgatory_size is not a number"),
        ({"changes": {"purgatory_size": 1 << 64}}, "purgatory_size is not a number"),
        ({"changes": {"since": 1}}, "since is no rule"),
        ({"machine": "mips"}, "no such architecture"),
    ],
)
def test_files_that_are_wrong(changes: dict[str, object], complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(GOOD))
    assert rules_of(profile_named(str(path)), MACHINE)["purgatory_size"] == 24576
    path.write_text(json.dumps(GOOD | changes))
    with pytest.raises(InputError, match=complaint):
        profile_named(str(path))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, " " * (2 << 20)])
def test_files_that_are_no_profile(text: str, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(InputError):
        profile_named(str(path))
    with pytest.raises(InputError, match="cannot be read"):
        profile_named(str(tmp_path / "none.json"))

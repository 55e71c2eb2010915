"""Every way out of the model is explained: the rules and errnos are taken from its code, not from a list."""

from __future__ import annotations

import ast
import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import warmboot.kernel
from explain.reports import SMALL
from warmboot.explain.catalog import CATALOG
from warmboot.explain.errnos import candidates
from warmboot.explain.judge import diagnose_errno
from warmboot.explain.pages import page
from warmboot.kernel import PROFILES, Profile, rules
from warmboot.kernel.rules import FILE_RULES, Rule

_SOURCE = Path(warmboot.kernel.__file__).parents[1]
_CALLS = ("kexec_load", "kexec_file_load")
# What answers /dev/liveupdate and memfds is of no kexec call.
_NO_CALLS = ("luo_", "memfd_luo", "shmem", "fdtable")
_DOCS = Path(__file__).parents[2] / "docs/explain.md"


def _trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(_SOURCE.rglob("*.py")):
        text = path.read_text("utf-8")
        if "kernel" in path.relative_to(_SOURCE).parts[:1] or "rules." in text:
            yield path, ast.parse(text)


def _refusals() -> dict[str, Rule]:
    """All that the code refuses by `rules.NAME.refuse(...)`, by the rule's name."""
    found = {}
    for path, tree in _trees():
        for node in ast.walk(tree):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Attribute(value=ast.Name(id="rules"), attr=name), attr="refuse")
                ):
                    rule = getattr(rules, name, None)
                    assert isinstance(rule, Rule), (path, name)
                    found[rule.name] = rule
    return found


def _errnos() -> set[int]:
    """All errnos that the model's code names: what it may give besides a rule's own."""
    return {
        getattr(errno, node.attr)
        for path, tree in _trees()
        if path.is_relative_to(_SOURCE / "kernel") and not path.name.startswith(_NO_CALLS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "errno"
        and node.attr.startswith("E")
    }


def test_the_code_is_read() -> None:
    """The walk finds what it is to find: the calls' rules, the files' rules, and errnos that replace a rule's own."""
    assert len(_refusals()) > 40
    assert {"half_of_memory", "kexec_trylock", "memory_hole", "kernel_signature", "file_writers"} <= set(_refusals())
    assert {errno.ENODATA, errno.EKEYREJECTED, errno.EACCES} <= _errnos()


def test_no_rule_is_left_out() -> None:
    """What is refused, and what is a rule that nothing refuses by name, has an entry, a page and a line in the docs."""
    every = {each.name for each in vars(rules).values() if isinstance(each, Rule)} | set(_refusals())
    docs = _DOCS.read_text("utf-8")
    for name in every:
        assert name in CATALOG
        assert page(name).helps
        assert f"| `{name}` |" in docs


def _call_of(rule: Rule) -> tuple[str, ...]:
    if rule in (*FILE_RULES, rules.CONFIG_KEXEC_FILE):
        return ("kexec_file_load",)
    return ("kexec_load",) if rule.name in {"config_kexec", "segment_count"} else _CALLS


@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each.name)
def test_every_errno_of_every_call_is_explained(profile: Profile) -> None:
    facts = replace(SMALL, release=f"{profile.since[0]}.{profile.since[1]}.0")
    given = {each.errno for each in vars(rules).values() if isinstance(each, Rule)} | _errnos()
    docs = _DOCS.read_text("utf-8")
    for value in given:
        called = [call for call in _CALLS if candidates(value, call)]
        assert called, errno.errorcode[value]
        for name in {name for call in called for name in candidates(value, call)}:
            assert name in CATALOG
            assert f"| `{name}` |" in docs
        found = diagnose_errno(value, None, facts)
        assert found.findings
        assert all(each.helps and each.commands for each in found.findings)


def test_a_rule_is_among_what_its_errno_allows() -> None:
    for rule in _refusals().values():
        assert any(rule.name in candidates(rule.errno, call) for call in _call_of(rule)), rule.name

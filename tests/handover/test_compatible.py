"""What of a handover the next kernel takes: the rules, without a kernel."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import warmboot
from warmboot.cli.main import main
from warmboot.dump.kernel_abi import KernelAbi, abi_of_texts
from warmboot.explain.catalog import CATALOG
from warmboot.explain.pages import page
from warmboot.handover.compatible import THINGS, Compatibility, Fate, compatibility
from warmboot.handover.on_machine import HandoverPanicError, handover_note, judged, refuse_panic
from warmboot.handover.rules import RULES
from warmboot.handover.switches import is_on, switched
from warmboot.memmap import Facts
from warmboot.report.text.handover_check import check_lines

_SPOKEN = {"kho": "kho-v4", "luo": "luo-v5", "memfd": "memfd-v2"}
NEWEST = abi_of_texts("vmlinuz", "7.2.0", _SPOKEN, None)
_CONFIG = {"CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT": "n", "CONFIG_PAGE_SHIFT": "12"}


def _with(**spoken: str) -> KernelAbi:
    return abi_of_texts("vmlinuz-new", "7.3.0", _SPOKEN | spoken, None)


def _fates(found: Compatibility) -> dict[str, str]:
    return {each.what: each.fate.value for each in found.things}


def test_the_same_takes_all() -> None:
    found = compatibility(NEWEST, NEWEST)
    assert set(_fates(found).values()) == {"survives"}
    assert found.survives
    assert found.needs_old == found.needs_new == ("kho=on", "liveupdate=on")


def test_another_version_of_luo_is_a_panic() -> None:
    found = compatibility(NEWEST, _with(luo="luo-v6"))
    assert set(_fates(found).values()) == {"panic"}
    assert found.panics
    assert not found.survives


def test_a_kernel_that_knows_several_versions_takes_each() -> None:
    new = replace(NEWEST, compatible={**NEWEST.compatible, "kho": ("kho-v3", "kho-v4")})
    assert compatibility(NEWEST, new).survives
    assert not compatibility(new, _with(kho="kho-v3")).survives  # it writes the newest


def test_what_is_asked_for_decides() -> None:
    new = _with(memfd="memfd-v3")
    assert not compatibility(NEWEST, new).survives
    assert compatibility(NEWEST, new, keep=["memory", "sessions"]).survives


def test_types_tell_of_a_patch() -> None:
    ours = replace(NEWEST, structures={"memfd.memfd_luo_ser": "48 bytes: pos@0:64"}, types=True)
    theirs = replace(NEWEST, structures={"memfd.memfd_luo_ser": "48 bytes: size@0:64"}, types=True)
    assert compatibility(ours, theirs).thing("memfd").rule == "kho_layout"
    assert compatibility(ours, theirs).thing("memory").fate is Fate.SURVIVES
    theirs = replace(NEWEST, structures={"kho.kho_vmalloc": "24 bytes: first@0:64"})
    ours = replace(NEWEST, structures={"kho.kho_vmalloc": "16 bytes: first@0:64"})
    assert {each.rule for each in compatibility(ours, theirs).things} == {"kho_layout"}


def test_pages_of_another_size() -> None:
    found = compatibility(
        replace(NEWEST, config=_CONFIG), replace(NEWEST, config=_CONFIG | {"CONFIG_PAGE_SHIFT": "16"})
    )
    assert found.thing("memory").rule == "kho_page_size"


@pytest.mark.parametrize("name", sorted(RULES))
def test_each_rule_has_its_page(name: str) -> None:
    assert page(name).helps
    assert RULES[name].why
    assert RULES[name].hint
    assert CATALOG[name].group == "handover"


def test_each_page_has_its_rule() -> None:
    assert {name for name, each in CATALOG.items() if each.group == "handover"} == set(RULES)


_TEXTS = st.dictionaries(st.sampled_from(["kho", "luo", "memfd", "memblock"]), st.sampled_from(["a-v1", "a-v2"]))
_LINES = st.one_of(st.none(), st.lists(st.sampled_from(["kho=on", "kho=0", "liveupdate=on", "x"])).map(" ".join))


@given(_TEXTS, _TEXTS, _LINES, _LINES)
def test_any_pair_has_a_verdict(old: dict[str, str], new: dict[str, str], line: str | None, other: str | None) -> None:
    found = compatibility(
        abi_of_texts("old", "1", old, None), abi_of_texts("new", "2", new, None), old_line=line, new_line=other
    )
    for each in found.things:
        assert (each.rule is None) is (each.fate is Fate.SURVIVES)
    assert found.survives is all(found.thing(each).fate is Fate.SURVIVES for each in THINGS)
    assert list(check_lines(found))
    same = {each: old.get(each) == new.get(each) for each in ("kho", "luo")}
    if found.panics:
        assert same["kho"]
        assert not same["luo"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("on", True), ("y", True), ("1", True), ("True", True), ("off", False), ("0", False), ("no", False)),
        *(("", None), ("o", None), ("maybe", None), ("2", None)),
    ],
)
def test_words_are_read_as_linux_reads_them(text: str, value: bool | None) -> None:
    assert is_on(text) is value


def test_the_last_word_counts() -> None:
    assert switched("kho=on kho=off kho=?", "kho", default=None) is False
    assert switched("quiet", "kho", default=True) is True
    assert switched("quiet", "kho", default=None) is None
    assert switched(None, "kho", default=True) is None
    assert switched("quiet -- kho=on", "kho", default=False) is False


_FACTS = replace(Facts.of_pc(1 << 30, release="7.2.0", cmdline="kho=on liveupdate=on"), handover=_SPOKEN)


def test_a_machine_that_hands_over_is_asked() -> None:
    found = judged(_FACTS, lambda: NEWEST, "kho=on liveupdate=on", by_file=True)
    assert found is not None
    assert found.survives
    assert handover_note(found) == "what the machine hands over survives"
    refuse_panic(found)


def test_handlers_that_are_not_known_are_not_judged() -> None:
    facts = replace(_FACTS, handover={"kho": "kho-v4", "luo": "luo-v5"})
    found = judged(facts, lambda: _with(memfd="memfd-v3"), "kho=on liveupdate=on", by_file=True)
    assert found is not None
    assert found.survives
    assert "memfd" not in _fates(found)
    assert any("not known" in each for each in found.notes)


def test_kexec_load_hands_nothing_over() -> None:
    found = judged(_FACTS, lambda: _with(luo="luo-v6"), "kho=on liveupdate=on", by_file=False)
    assert found is not None
    refuse_panic(found)  # there is nothing that it could panic of
    assert {each.rule for each in found.things} == {"kho_call"}


def test_a_panic_is_refused() -> None:
    found = judged(_FACTS, lambda: _with(luo="luo-v6"), "kho=on liveupdate=on", by_file=True)
    with pytest.raises(HandoverPanicError, match="PANICS"):
        refuse_panic(found)


@pytest.mark.parametrize(
    ("facts", "crash"),
    [(replace(_FACTS, handover=None), False), (replace(_FACTS, cmdline="kho=off"), False), (_FACTS, True)],
)
def test_a_machine_that_does_not_is_not_asked(facts: Facts, crash: bool) -> None:
    def never() -> KernelAbi:
        raise AssertionError

    assert judged(facts, never, "", by_file=True, crash=crash) is None
    assert judged(replace(_FACTS, handover={}), never, "", by_file=True) is None


@pytest.mark.needs_built
@pytest.mark.needs_apt
def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    from warmboot.debian.built import built_kernel  # noqa: PLC0415 - needs apt

    old, new = (str(built_kernel(each)) for each in ("kho", "memfd-newer"))
    assert main(["handover", "check", old, new]) == 1
    out = capsys.readouterr().out
    assert "handler_version: memfd: the two have different versions of this handler" in out
    assert out.endswith("does not survive: memfd (refused)\n")
    assert main(["handover", "check", old, new, "--keep", "memory", "--keep", "sessions", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    schema = Path(warmboot.__file__).with_name("schemas") / "handover-check.json"
    jsonschema.validate(answer, json.loads(schema.read_bytes()))
    assert answer["survives"]
    assert main(["handover", "check", old, new, "--keep", "everything"]) == 2
    assert "memfd" in capsys.readouterr().err

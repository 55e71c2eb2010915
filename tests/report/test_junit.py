"""Results as JUnit's XML."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from warmboot.cli.main import main
from warmboot.debian import kernel
from warmboot.report.junit import junit_xml
from warmboot.stages import Outcome, Refusal, Result, Stage


def test_each_stage_is_a_test_case(tmp_path: Path) -> None:
    path = tmp_path / "results.xml"
    assert main(["rehearse", str(kernel("6.12")), "--no-boot", "--junit", str(path)]) == 0
    suite = ElementTree.parse(path).getroot()[0]
    names = [each.get("name") for each in suite.iter("testcase")]
    assert names == ["inspect", "place", "permit", "load", "hand over", "boot"]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("6", "0", "1")


def test_a_refusal_fails(tmp_path: Path) -> None:
    path = tmp_path / "results.xml"
    assert main(["rehearse", str(kernel("6.12")), "--memory", "64M", "--no-boot", "--junit", str(path)]) == 1
    [failure] = ElementTree.parse(path).getroot().iter("failure")
    assert "no room for the kernel" in (failure.text or "")


@given(st.text(), st.text(), st.lists(st.text()))
def test_any_words_are_xml(problem: str, hint: str, console: list[str]) -> None:
    stage = Stage("permit", Outcome.REFUSED, 1.0, None, problem, hint, Refusal("EINVAL", "overlap", 1))
    root = ElementTree.fromstring(junit_xml("s", problem, Result([stage], hint), console))
    assert [each.get("type") for each in root.iter("failure")] == ["EINVAL by overlap"]


def test_what_xml_has_no_character_for() -> None:
    stage = Stage("boot", Outcome.FAILED, 1.0, None, "a\ufffe\uffff\0\ud800", "]]>&\ufffe")
    root = ElementTree.fromstring(junit_xml("s", "\uffff", Result([stage], "x"), ["\ufffe\x1b[2J"]))
    [failure] = root.iter("failure")
    assert failure.get("message") == "a\\ufffe\\uffff\\x00\\ud800"
    assert "\\ufffe\\x1b[2J" in (root[0].findtext("system-out") or "")

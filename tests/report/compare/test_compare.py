"""Two reports side by side: nothing of equal ones, everything of others, and one error for what is no report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.cli.main import main
from warmboot.debian import kernel
from warmboot.errors import InputError
from warmboot.report.compare.compare import compare
from warmboot.report.compare.given import Given, read_report
from warmboot.report.compare.walk import ABSENT, walk

VMLINUZ = str(kernel("6.12"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["name", "mem", "stages", "figures", "ram", "x"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_nothing_differs_from_itself(value: Any) -> None:  # noqa: ANN401
    assert list(walk(value, json.loads(json.dumps(value)))) == []


@given(JSON, JSON)
def test_what_differs_is_found_and_is_the_same_from_both_sides(a: Any, b: Any) -> None:  # noqa: ANN401
    there, back = list(walk(a, b)), list(walk(b, a))
    same = json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)
    assert bool(there) >= (not same and not _is_named(a) and not _is_named(b))
    assert not (same and there)
    assert {each.path for each in there} == {each.path for each in back}
    for each in there:
        assert each.a is not ABSENT or each.b is not ABSENT


def _is_named(value: Any) -> bool:  # noqa: ANN401
    """Whether lists in it are compared by names, so that their order is none."""
    return isinstance(value, list | dict)


@given(JSON, JSON)
def test_any_stages_are_compared_without_a_fault(a: Any, b: Any) -> None:  # noqa: ANN401
    left, right = (Given("f", "rehearse", {"stages": each, "verdict": each}, ("x",), {"y": each}) for each in (a, b))
    found = compare(left, right)
    assert (found.exit_status == 0) == (found.differences == ())


@given(
    st.binary(max_size=200) | st.text(max_size=80).map(str.encode) | JSON.map(lambda each: json.dumps(each).encode())
)
def test_what_is_no_report_is_one_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "no-report"
    for each in (data, b"<!doctype html><pre aria-labelledby=json>" + data):
        path.write_bytes(each)
        with pytest.raises(InputError, match="no-report"):
            read_report(path)


@pytest.fixture
def reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Path]:
    asked = {
        "one": ["--memory", "1G"],
        "same": ["--memory", "1G"],
        "other": ["--memory", "2G"],
        "none": ["--memory", "64M"],
    }
    found = {}
    for name, words in asked.items():
        page = found[f"{name}.html"] = tmp_path / f"{name}.html"
        main(["rehearse", VMLINUZ, "--no-boot", "--json", "--html", str(page), *words])
        found[f"{name}.json"] = tmp_path / f"{name}.json"
        found[f"{name}.json"].write_text(capsys.readouterr().out)
    return found


def test_real_ones(reports: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(a: str, b: str, *words: str) -> tuple[int, str]:
        status = main(["compare", str(reports[a]), str(reports[b]), *words])
        return status, capsys.readouterr().out

    for one, other in (("one.html", "same.html"), ("one.json", "same.html"), ("one.json", "same.json")):
        status, out = said(one, other)
        assert status == 0, out
        assert out.splitlines()[-1] == "the same, but for what differs each time"
    status, out = said("one.html", "other.html", "--html", str(tmp_path / "page.html"))
    assert status == 1
    assert "\n  segments purgatory mem: 0x" in out
    assert "\n  ram: 0x100000-0x3fffffff, 1023 MiB -> 0x100000-0x7fffffff, 2.0 GiB\n" in out
    assert "\nfacts\n" in out
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.count("<figure>") == 2
    assert page.count("segments purgatory mem") > 0
    status, out = said("one.json", "none.html")
    assert status == 1
    for line in ("place\n  outcome: passed -> refused\n", "permit\n  reached: passed -> not reached\n"):
        assert line in out


def test_reports_of_two_commands(reports: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "facts.json"
    main(["facts", "--json"])
    other.write_text(capsys.readouterr().out)
    assert main(["compare", str(reports["one.json"]), str(other)]) == 2
    assert "there is nothing to compare" in capsys.readouterr().err


def test_a_console_is_compared_without_its_seconds() -> None:
    def given(*lines: str) -> Given:
        return Given("f", "rehearse", {"stages": []}, lines)

    a = given("[    0.000000] Linux version 6.12", "[    0.100000] a", "b")
    same = given("[    0.200000] Linux version 6.12", "[    0.300000] a", "b")
    assert compare(a, same).console == ()
    found = compare(a, given("[    0.2] Linux version 6.12", "[    0.300000] c", "b"))
    assert found.console is not None
    assert [line for line in found.console if line[0] in "-+"] == ["-a", "+c"]
    assert found.exit_status == 0


HEAD = '{"schema": "urn:warmboot:rehearse:1", '


@pytest.mark.parametrize(
    ("a", "b", "shown"),
    [
        ('"x": ' + "[" * 900 + "]" * 900, '"x": 1', "x: "),  # deeper than it can be shown
        ('"x": ' + '{"a": ' * 400 + "1" + "}" * 400, '"x": ' + '{"a": ' * 400 + "2" + "}" * 400, "a a a"),
        ('"memory": ' + "9" * 4000, '"memory": 1', "memory: 99999"),
        ('"size": ' + "9" * 4000, '"size": -1e999', "size: 99999"),
        (f'"ram": [[1, {"9" * 4000}]]', '"ram": [[1, 2]]', "ram: 0x1-0x"),
        ('"x": "' + "y" * 400 + 'a"', '"x": "' + "y" * 400 + 'b"', "yya -> ...yyyy"),
        ('"stages": {"name": 1}', '"stages": [[], 1, {"figures": {"digests": [1, {}]}}]', "reached"),
        ('"segments": [{"mem": "0x1"}]', '"segments": [{"mem": true}]', "0x1"),
        ('"x": ["\\u001b[2J\\u202e", "</pre><script>"]', '"x": []', "\\x1b[2J\\u202e"),
    ],
)
def test_reports_from_anybody(a: str, b: str, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("a.json", a), ("b.json", b)):
        (tmp_path / name).write_text(f"{HEAD}{text}}}")
    page = tmp_path / "page.html"
    assert main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--html", str(page)]) == 1
    out = capsys.readouterr().out
    assert shown in out
    for text in (out, page.read_text("utf-8")):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
        assert "<script" not in text or text is out


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (f'{HEAD}"x": [{"[]," * 600_000}0]}}', "more than 500,000 values"),
        (f'{HEAD}"x": {"[" * 100_000}', "recursion|not JSON"),
        (f'{HEAD}"x": {"9" * 5000}}}', "not JSON"),
        ("<" + "<a " * (3 << 20), "no page of warmboot"),
        ("<pre aria-labelledby=json>" * 300_000, "no page of warmboot"),
        ("<" + "<!--" * (3 << 20), "no page of warmboot"),
        (
            f'<pre aria-labelledby="json">{HEAD}"x": 1}}</pre><pre aria-labelledby="console">'
            + "x\n" * 30_000
            + "</pre>",
            "a console of more than 20,000 lines",
        ),
        ("x" * (17 << 20), "more than 16 MiB"),
    ],
)
def test_what_would_take_all_memory_or_all_day(data: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "report").write_text(data)
    with pytest.raises(InputError, match=what):
        read_report(tmp_path / "report")


def test_equal_values_are_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As digests of equal parts are."""
    for name, digests in (("a.json", ["ab" * 32] * 7 + ["cd" * 32]), ("b.json", ["ef" * 32] * 3)):
        stage = {"name": "place", "figures": {"digests": [{"mem": 1, "sha256": each} for each in digests]}}
        (tmp_path / name).write_text(json.dumps({"schema": "urn:warmboot:rehearse:1", "stages": [stage]}))
    page = tmp_path / "page.html"
    assert main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--html", str(page)]) == 1
    told = f"{'ab' * 32} (7 times); {'cd' * 32}"
    assert f"digests: {told} -> {'ef' * 32} (3 times)" in capsys.readouterr().out
    assert f"<td>{told}</td>" in page.read_text("utf-8")

"""`warmboot explain`: reports of failures and their rules, every refusal explained, any text read."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explain.reports import REPORTS, SMALL, Report, failed
from warmboot.cli.main import main
from warmboot.explain.catalog import CATALOG, GROUPS
from warmboot.explain.errnos import _FILE, _SEGMENTS, candidates, errno_called, errno_name
from warmboot.explain.evidence import read
from warmboot.explain.findings import CONFIDENCES
from warmboot.explain.judge import diagnose, diagnose_errno, diagnose_evidence
from warmboot.explain.pages import NAMES, SECTIONS, page
from warmboot.explain.signs import SIGNS
from warmboot.kernel import PROFILES, Profile, rules
from warmboot.kernel.rules import Rule

MODEL = {each.name: each for each in vars(rules).values() if isinstance(each, Rule)}
WORDS = [
    "kexec_load failed: ",
    "entry = ",
    "nr_segments = ",
    "segment[0].mem = ",
    "0x1000",
    "18446744073709551616",
    "\n",
]
WORDS += ["kexec -l '", "\x1b[", "Kernel panic - not syncing: ", "kexec_load(0, 1, [{", "kexec: ", "Nov 11 ", "[ 1.0] "]


@pytest.mark.parametrize("report", REPORTS, ids=lambda each: each.name)
def test_a_report_is_explained(report: Report) -> None:
    found = diagnose(report.text, report.facts).findings
    assert (found[0].rule, found[0].confidence) == (report.rule, report.sure)
    assert all(each.rule == report.rule for each in found if each.confidence == "certain")


@pytest.mark.parametrize("report", [each for each in REPORTS if each.sure == "certain"], ids=lambda each: each.name)
def test_another_errno_is_never_certain(report: Report) -> None:
    """What the model refuses otherwise is no explanation."""
    text = report.text.replace("EADDRNOTAVAIL", "EBUSY").replace("Cannot assign requested address", "Device busy")
    text = text.replace("Device busy", "Device or resource busy").replace("Invalid argument", "Device or resource busy")
    assert "certain" not in {each.confidence for each in diagnose(text, report.facts).findings}


def test_this_computer_is_not_the_one_that_failed_for_certain() -> None:
    text = failed("Invalid argument", (0x21000000, 0x4000000, 0x21000000))
    found = diagnose_evidence(read(text), SMALL, implied=True).findings[0]
    assert (found.rule, found.confidence) == ("half_of_memory", "likely")


def test_each_rule_has_a_page_and_each_page_a_rule() -> None:
    assert set(NAMES) == set(CATALOG)
    assert set(MODEL) <= set(CATALOG)
    assert {each.group for each in CATALOG.values()} == set(GROUPS)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_whole(name: str) -> None:
    about = page(name)
    assert all(about.section(each) for each in SECTIONS)
    assert all((about.title, about.helps, about.commands))
    entry = CATALOG[name]
    assert entry.errno is None or errno_name(entry.errno) in about.text
    assert len(about.text.splitlines()) <= 40


@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each.name)
def test_every_refusal_of_the_model_is_explained(profile: Profile) -> None:
    """Each rule, on a machine of each profile: its errno leads to the rule, or to one that speaks of it."""
    facts = replace(SMALL, release=f"{profile.since[0]}.{profile.since[1]}.0")
    for rule in MODEL.values():
        call = "kexec_file_load" if rule in (*rules.FILE_RULES, rules.CONFIG_KEXEC_FILE) else "kexec_load"
        assert rule.name in candidates(rule.errno, call), rule.name
        found = diagnose_errno(rule.errno, None, facts).findings
        assert found
        assert all(each.helps for each in found)


@pytest.mark.parametrize("value", sorted({*_SEGMENTS, *_FILE}), ids=lambda each: errno.errorcode[each])
def test_every_errno_is_explained(value: int) -> None:
    for call in ("kexec_load", "kexec_file_load", None):
        assert candidates(value, call), errno.errorcode[value]
        assert set(candidates(value, call)) <= set(CATALOG)
    assert diagnose_errno(value).findings
    assert errno_called(errno.errorcode[value]) == errno_called(str(value)) == errno_called(f"-{value}") == value


def test_signs_name_rules() -> None:
    assert {rule for _, rule, _, _ in SIGNS} <= set(CATALOG)


@given(st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map("".join)))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read(text: str) -> None:
    found = diagnose(text, SMALL)
    assert all(each.confidence in CONFIDENCES for each in found.findings)


def test_a_long_text_is_read() -> None:
    assert diagnose("kexec_load failed: " * 10_000).findings == ()
    assert diagnose("x\n" * 100_000 + "kexec_load failed: Invalid argument\n").findings


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "failed.txt").write_text(failed("Invalid argument", (0x21000000, 0x4000000, 0x21000000)))
    (tmp_path / "host.json").write_text(SMALL.to_json())
    assert main(["explain", str(tmp_path / "failed.txt"), "--like", str(tmp_path / "host.json")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("certain: The image would take more than half of memory (rule half_of_memory)\n")
    assert "segment 0 takes 135168 pages, half of memory is " in out
    assert main(["explain", "EADDRNOTAVAIL", "kexec -p vmlinuz", "--no-facts", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["findings"][0]["rule"] == "crash_reservation_missing"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["nothing_like_it"], "neither a file nor a rule nor an errno"),
        (["poem.txt"], "nothing in it that kexec, the kernel or a boot says"),
        (["poem.txt", "kexec -l x"], "is no errno"),
        (["EINVAL", "make me a sandwich"], "is no command line of kexec"),
        (["EXDEV"], "no call of kexec gives EXDEV"),
        (["."], "no regular file"),
    ],
)
def test_what_is_none(
    words: list[str], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line what, one line what helps."""
    monkeypatch.chdir(tmp_path)
    Path("poem.txt").write_text("Shall I compare thee to a summer's day?\n")
    assert main(["explain", *words, "--no-facts"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert what in first
    assert second.startswith("  try: ")


@pytest.mark.parametrize("columns", [40, 100])
@pytest.mark.parametrize("name", ["--list", "half_of_memory"])
def test_what_is_printed_fits(
    name: str, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["explain", name]) == 0
    out = capsys.readouterr().out
    assert all(len(each) <= columns for each in out.splitlines() if not each.startswith("    "))
    assert "\x1b" not in out


def test_a_healthy_log_is_no_failure() -> None:
    """What every boot says is likely no reason for anything."""
    log = """[0.0] Linux version 6.12.0
[0.1] ACPI: RSDP 0x00000000000F5AA0 000014 (v00 BOCHS )
[1.0] hpwdt 0000:01:00.0: HPE Watchdog Timer Driver: timeout: 30 seconds
[1.1] DMAR: Intel(R) Virtualization Technology for Directed I/O
[1.2] Waiting for root device /dev/vda1...
[1.3] Run /init as init process
[1.4] i915 0000:00:02.0: [drm] Finished loading DMC firmware
"""
    assert {each.confidence for each in diagnose(log).findings} <= {"possible"}


def test_an_audit_of_a_file_that_ima_refused() -> None:
    found = diagnose(
        "kexec_file_load failed: Permission denied\n"
        'audit: type=1800 audit(1764245000.1:5): pid=7 uid=0 op=appraise_data cause=IMA-signature-required comm="kexec"'
        ' name="/boot/vmlinuz" dev="nvme0n1" ino=12 res=0\n'
    )
    assert (found.findings[0].rule, found.findings[0].confidence) == ("security_kernel_read_file", "likely")


def test_the_docs_list_the_rules() -> None:
    text = (Path(__file__).parents[2] / "docs/explain.md").read_text("utf-8")
    listed = [line for line in text.splitlines() if line.startswith("| `")]
    for name, entry in CATALOG.items():
        number = errno_name(entry.errno) if entry.errno is not None else ""
        assert f"| `{name}` | {number} | {page(name).title} |" in listed
    assert len(listed) == len(CATALOG)

"""Pages of a fleet, of a dump and of two reports: what is in them, how large they are, that nothing steers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from support.vmcores import vmcore
from warmboot.cli.main import main
from warmboot.fleet.answers import FleetAnswer, Group, MachineAnswer
from warmboot.report.html.fleet import Survey, fleet_page

BAD = "</title><script>alert(1)</script>\x1b[2J"
MACHINE = MachineAnswer(
    name="vm",
    source="",
    loads=False,
    rule="no_room",
    reason="no room for the initrd",
    hint="",
    errno=None,
    short=1 << 20,
    release="6.12.0",
    machine="x86_64",
    call="kexec_load",
    profile="",
    fit="",
    takes=100 << 20,
    largest_hole=1 << 30,
    half_of_memory=1 << 30,
    crash_reservation=0,
    notes=(),
    subject="no hole",
)


def test_ten_thousand_machines_are_a_page_of_the_same_size() -> None:
    sizes = []
    for count in (1_000, 10_000):
        survey = Survey()
        for number in range(count):
            loads = number % 3 == 0
            hole = 1 << 20 + number % 22
            made = replace(MACHINE, name=f"vm{number:05}", loads=loads, largest_hole=hole, release=f"6.{number}.0")
            survey.add(made)
        group = Group("no_room", "no hole", 7, ("vm1",), "none", 1 << 20, "an initrd of 1 MiB", "vm1", "")
        refuses = count - len(range(0, count, 3))
        answer = FleetAnswer("/k", "6", count, count - refuses, refuses, 0, (group,), {}, (), "some refuse", 1)
        text = fleet_page(answer, survey, {}, panic=False)
        sizes.append(len(text))
        rows = re.findall(
            r"<td class=\"number\">([\d,]+)</td><td class=\"number\">([\d,]+)</td><td class=\"share\">", text
        )
        holes = [(int(a.replace(",", "")), int(b.replace(",", ""))) for a, b in rows][:22]
        assert sum(a for a, _ in holes) == count - refuses
        assert sum(b for _, b in holes) == refuses
        assert f"{count - 400:,} are left out" in text
    assert sizes[1] < sizes[0] * 1.1
    assert sizes[1] < 200_000


def test_names_of_machines_steer_nothing() -> None:
    survey = Survey()
    survey.add(replace(MACHINE, name=BAD, reason=BAD, release=BAD))
    group = Group(BAD, BAD, 1, (BAD,), BAD, 0, None, BAD, BAD)
    answer = FleetAnswer(BAD, BAD, 1, 0, 1, 1, (group,), {BAD: 1}, (BAD,), BAD, 1)
    text = fleet_page(answer, survey, {"a": BAD}, panic=True)
    assert "<script" not in text
    assert "\x1b" not in text


@pytest.mark.needs_qemu
def test_a_dump(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "page.html"
    assert main(["dump", "info", "--html", str(path), str(vmcore("6.12"))]) == 0
    text, said = path.read_text("utf-8"), capsys.readouterr().out
    assert "sysrq_handle_crash" in text
    for line in said.splitlines():
        if line.startswith(("kernel", "crashed", "uptime", "dump")):
            assert line[10:] in text
    assert "ip = 0xffffffff" in text
    assert "Linux version 6.12" in text or "lines before these are left out" in text
    assert not re.search(r"(?i)\b(src|href)=|https?://|url\((?!#)|@import", text.partition('id="log"')[0])
    assert len(text) < 200_000

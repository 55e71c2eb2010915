"""`warmboot check` as a person types it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from warmboot.cli.main import main
from warmboot.debian import kernel
from warmboot.fleet.check import check
from warmboot.fleet.documents import documents
from warmboot.fleet.local import Local
from warmboot.fleet.plan import Plan
from warmboot.memmap import Facts
from warmboot.placement.command_line import CommandLineRequest

MIB = 1 << 20
KERNEL = str(kernel("6.12"))
SCHEMA = json.loads((files("warmboot") / "schemas" / "check.json").read_text("utf-8"))


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.jsonl"
    with path.open("w") as file:
        for number, memory in enumerate((4096, 8192, 150, 200)):
            members = Facts.of_pc(memory * MIB).members() | {"hostname": f"vm{number}"}
            file.write(f"{json.dumps(members)}\n")
        file.write(json.dumps(Facts.of_pc(1 << 30).members() | {"hostname": "arm", "machine": "aarch64"}) + "\n")
        file.write(json.dumps(Facts.of_pc(1 << 30).members() | {"hostname": "off", "kexec_load_disabled": True}) + "\n")
    return path


@pytest.fixture
def initrd(tmp_path: Path) -> Path:
    path = tmp_path / "initrd"
    with path.open("wb") as file:
        file.truncate(160 * MIB)
    return path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = main(["check", *map(str, words)])
    ended = capsys.readouterr()
    return status, ended.out, ended.err


def checked(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    Draft202012Validator(SCHEMA | {"unevaluatedProperties": False}).validate(found)
    return found


def test_the_table(fleet: Path, initrd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, KERNEL, fleet, "--initrd", initrd, "--verbose")
    assert (status, err) == (1, "")
    assert out.splitlines()[0].endswith("4 of 6 refuse")
    assert "2 of 6 refuse: no hole of 160 MiB for the initrd (no_room)\n    on vm2, vm3\n" in out
    assert "1 of 6 refuse: the machine is aarch64" in out
    assert "1 of 6 refuse: loading has been disabled until the next boot (kexec_load_disabled)" in out
    assert "vm0: loads, takes " in out
    assert "arm: refuses: " in out
    assert out.index("no_room") < out.index("vm0: loads")


def test_the_change_mends_the_machine_that_lacks_most(
    fleet: Path, initrd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, KERNEL, fleet, "--initrd", initrd, "--json")
    [group] = [each for each in checked(out)["groups"] if each["rule"] == "no_room"]
    assert group["tried_on"] == "vm2"
    words = group["change"].split()
    assert words[:5] == ["an", "initrd", "of", "at", "most"]
    fits = int(words[5])
    for size, status in ((fits, 0), (fits + 1, 1)):
        with initrd.open("r+b") as file:
            file.truncate(size * MIB)
        small = fleet.with_name("vm2.json")
        small.write_text(fleet.read_text().splitlines()[2])
        assert run(capsys, KERNEL, small, "--initrd", initrd)[0] == status


def test_a_reservation_that_is_large_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "one.json"
    path.write_text(Facts.of_pc(2 << 30).to_json())
    status, out, _ = run(capsys, KERNEL, path, "--panic", "--json")
    [group] = checked(out)["groups"]
    assert status == 1
    size = int(group["change"].partition("crashkernel=")[2].partition("M")[0])
    for reserved, status in ((size, 0), (size - 1, 1)):
        path.write_text(Facts.of_pc(2 << 30, crashkernel=reserved * MIB).to_json())
        assert run(capsys, KERNEL, path, "--panic")[0] == status


def test_json_lines(fleet: Path, initrd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with fleet.open("a") as file:
        file.write('{"damaged": \n{"release": "6.12"}\n')
    status, out, err = run(capsys, KERNEL, fleet, "--initrd", initrd, "--format", "jsonl")
    *machines, summary = [checked(line) for line in out.splitlines()]
    assert (status, err) == (2, "")
    assert [each["name"] for each in machines] == ["vm0", "vm1", "vm2", "vm3", "arm", "off"]
    assert [each["loads"] for each in machines] == [True, True, False, False, False, False]
    assert (summary["machines"], summary["refuses"], summary["unusable"]) == (6, 4, 2)
    assert [each.partition(": ")[0].rpartition(":")[2] for each in summary["problems"]] == ["7", "8"]


def test_all_load(fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "good.jsonl"
    path.write_text("".join(f"{line}\n" for line in fleet.read_text().splitlines()[:2]))
    status, out, _ = run(capsys, KERNEL, path)
    assert status == 0
    assert "it would load on all 2" in out


@pytest.mark.parametrize("words", [["nowhere.json"], [KERNEL], ["--jobs", "0", KERNEL]])
def test_nothing_that_can_be_used(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, KERNEL, *words)[0] == 2


def test_workers_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    lines = [json.dumps(Facts.of_pc((100 + 37 * each) * MIB).members()) for each in range(20)]
    path.write_text("".join(f"{line}\n" for _ in range(30) for line in lines))
    plan = Plan(KERNEL, None, (90 * MIB,), CommandLineRequest())
    answers = []
    for jobs in (1, 3):
        each: list[object] = []
        runner = Local(jobs, pytest.fail)
        answers.append((check(plan, documents([str(path)]), runner, each=each.append, progress=lambda _: None), each))
    assert answers[0] == answers[1]
    assert 0 < answers[0][0].refuses < answers[0][0].machines == 600


def test_parquet(fleet: Path, initrd: Path, tmp_path: Path) -> None:
    """In a process of its own, as pyarrow has threads."""
    table = tmp_path / "fleet.parquet"
    code = "import sys; from warmboot.cli.main import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "check", KERNEL, str(fleet), "--initrd", str(initrd), "--format", "jsonl"]
    done = subprocess.run([*words, "--output", str(table)], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    read = f"import pyarrow.parquet, json; print(json.dumps(pyarrow.parquet.read_table({str(table)!r}).to_pylist()))"
    rows = json.loads(subprocess.run([sys.executable, "-c", read], capture_output=True, timeout=120, check=True).stdout)
    lines = [json.loads(line) for line in done.stdout.splitlines()[:-1]]
    assert rows == [{name: each[name] for name in rows[0]} for each in lines]
    assert [each.name for each in tmp_path.glob("fleet.parquet*")] == ["fleet.parquet"]
    rest = table.with_name(f"{table.name}.incomplete")
    other = tmp_path / "other"
    other.write_text("whole")
    rest.symlink_to(other)
    subprocess.run([*words, "--output", str(table)], capture_output=True, timeout=120, check=False)
    assert (other.read_text(), rest.is_symlink(), table.is_symlink()) == ("whole", False, False)


@pytest.mark.parametrize(
    "words",
    [
        ["--json", "--format", "jsonl"],
        ["--json", "--verbose"],
        ["--format", "jsonl", "--verbose"],
        ["--timeout", "10"],
        ["--jobs", "1", "--scheduler", "tcp://127.0.0.1:1"],
        ["--timeout", "nan", "--scheduler", "tcp://127.0.0.1:1"],
    ],
)
def test_nothing_that_is_asked_is_ignored(words: list[str], fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, KERNEL, fleet, *words)
    assert status == 2
    assert len((out + err).splitlines()) == (1 if "--json" in words else 2)


HOSTILE = "evil\x1b[2J\x9b31m\u202e\n</pre></style><script>alert(1)</script>\"'"


def test_words_from_outside_steer_nothing(initrd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The kernel's file, machines, releases and files of facts have names that others chose."""
    folder = tmp_path / HOSTILE.partition("/")[0]
    folder.mkdir()
    image = folder / "vmlinuz\x1b[2J\u202e"
    image.symlink_to(KERNEL)
    members = Facts.of_pc(150 * MIB).members() | {"name": HOSTILE, "release": f"6.12{HOSTILE}", "machine": "x86_64"}
    lines = [members, members | {"machine": HOSTILE}, members | {"release": 1}, members | {"lockdown": HOSTILE}]
    (folder / "f.json").write_text("".join(f"{json.dumps(each)}\n" for each in lines))
    page = tmp_path / "page.html"
    words = [image, folder, "--initrd", initrd, "--html", page]
    for more in (["--verbose"], ["--json"], ["--format", "jsonl"]):
        status, out, err = run(capsys, *words, *more)
        assert (status, err) == (2, "")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out)
        text = page.read_text("utf-8")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
        assert "<script" not in text
        assert text.count("</style>") == 1


def test_risks_of_a_fleet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Machines alike are counted together; a machine that refuses is not, nor one whose facts say nothing."""
    path = tmp_path / "fleet.jsonl"
    devices = {"displays": "card0 nouveau", "pci": "0000:03:00.0 nouveau\n0000:04:00.0 nouveau", "consoles": "ttyS0"}
    machines: list[dict[str, Any]] = [
        *({"hostname": f"vm{each}", "devices": devices, "release": "6.12.0"} for each in range(3)),
        {"hostname": "old", "cmdline": "console=ttyS0"},
        {"hostname": "off", "devices": devices, "kexec_load_disabled": True},
    ]
    path.write_text("".join(f"{json.dumps(Facts.of_pc(1 << 30).members() | each)}\n" for each in machines))
    words = (KERNEL, path, "--jobs", 1, "--command-line", "console=ttyS0")
    status, told, _ = run(capsys, *words, "--json")
    assert status == 1
    found = {each["rule"]: each for each in checked(told)["risks"]}
    assert [*found] == ["graphics", "device_left_on"]
    assert (found["graphics"]["machines"], found["graphics"]["confidence"]) == (3, "likely")
    assert found["device_left_on"]["subject"] == "the driver nouveau has no shutdown method"
    assert found["device_left_on"]["names"] == ["vm0", "vm1", "vm2"]
    text = " ".join(run(capsys, *words)[1].split())
    assert "likely: nouveau has the display (graphics): on vm0, vm1, and 1 more" in text
    every = [json.loads(line) for line in run(capsys, *words, "--format", "jsonl")[1].splitlines()[:-1]]
    assert [len(each["risks"]) for each in every] == [2, 2, 2, 0, 0]

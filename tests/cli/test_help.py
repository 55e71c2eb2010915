"""Help: when to use a command, examples that work, exit statuses, variables, and room for all of it in 60 columns."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from support.formats import samples
from support.vmcores import vmcore
from warmboot.cli.dump import DUMP_COMMANDS
from warmboot.cli.environment import VARIABLES
from warmboot.cli.kdump import KDUMP_COMMANDS
from warmboot.cli.main import COMMANDS, main, parse
from warmboot.cli.roll import ROLL_COMMANDS
from warmboot.debian import guest_root, kernel
from warmboot.memmap import Facts
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel

ROOT = Path(__file__).parents[2]
HELPS = [[], *([each] for each in COMMANDS), *(["debian", each] for each in ("kernel", "initrd", "fetch"))]
HELPS += [["dump", each] for each in DUMP_COMMANDS]
HELPS += [["kdump", each] for each in KDUMP_COMMANDS]
HELPS += [["roll", each] for each in ROLL_COMMANDS]
IDS = [" ".join(each) or "warmboot" for each in HELPS]

# What is run here; the others change this computer, or need a guest: of those every word must be understood.
HARMLESS = ("demo", "inspect", "facts", "status", "replay", "rehearse", "debian", "dump", "explain", "check", "compare")
TRACE = ROOT / "tests/traces/linux-6.1-disabled-halfway.jsonl.xz"


def help_of(words: list[str], columns: int, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> str:
    patch.setenv("COLUMNS", str(columns))
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main([*words, "--help"])
    assert end.value.code == 0
    return capsys.readouterr().out


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The files that examples name, small ones, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    Path("vmlinuz").write_bytes(demo_kernel())
    Path("xen.gz").write_bytes(samples()["multiboot 2"])
    for name in ("initrd.img", "base.img", "more.img", "kdump.img"):
        Path(name).write_bytes(b"070701" * 100)
    Path("failed.txt").write_text("kexec_load failed: Cannot assign requested address\n")
    Path("host.json").write_text(Facts.of_pc(1 << 30).to_json())
    Path("facts").mkdir()
    Path("facts/host.json").write_text(Facts.of_pc(1 << 30).to_json())
    machines = [Facts.of_pc(2 << 30, crashkernel=size << 20).members() for size in (256, 320)]
    Path("fleet.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in machines))
    report = json.dumps({"schema": "urn:warmboot:rehearse:1", "verdict": "it loads"})
    for name in ("monday.html", "tuesday.html"):
        Path(name).write_text(f'<!doctype html><pre aria-labelledby="json">{report}</pre>')
    for name in ("here.json", "there.json"):
        Path(name).write_text(report)
    return {
        "/boot/vmlinuz-6.12": str(kernel("6.12")),
        "/boot/initrd.img-6.12": str(guest_root()),
        "trace.jsonl": str(TRACE),
        "$(warmboot debian kernel 6.12)": str(kernel("6.12")),
        "$(warmboot debian kernel 6.1)": str(kernel("6.1")),
        "$(warmboot debian initrd)": str(guest_root()),
    }


def examples_in(text: str) -> list[str]:
    _, _, after = text.partition("\nexamples:\n")
    return re.findall(r"^  \$ (.*)$", after, re.MULTILINE)


@pytest.mark.parametrize("words", HELPS, ids=IDS)
def test_a_help_says_when_and_how(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = help_of(words, 100, capsys, monkeypatch)
    assert not words or re.search(r"^Use it\b", text, re.MULTILINE)
    assert examples_in(text)
    statuses = dict(re.findall(r"^  (\d+) +(\S.*)$", text.partition("\nexit status:\n")[2], re.MULTILINE))
    assert list(statuses) == ["0", "1", "2", "3", "4", "130"]


@pytest.mark.parametrize("words", HELPS, ids=IDS)
def test_a_help_fits_into_60_columns(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = help_of(words, 60, capsys, monkeypatch)
    assert [line for line in text.splitlines() if len(line) > 60] == []


@pytest.mark.parametrize(
    "words", [pytest.param(each, marks=pytest.mark.needs_qemu if "dump" in each else ()) for each in HELPS], ids=IDS
)
def test_examples_work(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    for example in examples_in(help_of(words, 100, capsys, monkeypatch).replace(" \\\n     ", "")):
        line = example.partition(" > ")[0]
        for name, path in files.items():
            line = line.replace(name, path)
        for name in ("/proc/vmcore", "crash.vmcore"):
            line = line.replace(name, str(vmcore("6.12"))) if name in line else line
        program, *given = shlex.split(line)
        assert program == "warmboot"
        elsewhere = given[0] == "facts" and len(given) > 1  # other hosts, and others' files, have tests of their own
        if given[0] in HARMLESS and not {"--crash", "--handover"} & {*given} and not elsewhere:  # as has what boots
            if given[0] == "rehearse" and "--no-boot" not in given:
                given.append("--no-boot")
            assert main(given) == 0, example
        else:
            assert parse(given).run, example


def test_the_variables_are_documented_in_one_place(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that the code reads, in docs/environment.md and in the help, with the same words."""
    page = (ROOT / "docs/environment.md").read_text("utf-8")
    assert dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE)) == VARIABLES
    text = " ".join(help_of([], 100, capsys, monkeypatch).split())
    assert all(f"{name} {what}" in text for name, what in VARIABLES.items())
    read = {
        name
        for path in (ROOT / "src").rglob("*.py")
        for name in re.findall(r"WARMBOOT_[A-Z_]+", path.read_text("utf-8"))
    }
    assert read <= set(VARIABLES)

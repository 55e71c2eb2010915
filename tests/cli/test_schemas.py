"""The schemas that are shipped are those of the answers, and every command's --json keeps to its own."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from support.crash_machine import CrashMachine
from support.formats import samples
from support.handovers import handover
from support.peer import captured
from support.vmcores import vmcore
from warmboot import __version__, crash_figures
from warmboot.blackbox import record
from warmboot.cli import answer
from warmboot.cli.dump import DUMP_COMMANDS
from warmboot.cli.main import main, parser_for
from warmboot.cli.roll import ROLL_COMMANDS
from warmboot.cli.schema import SCHEMAS
from warmboot.debian import kernel
from warmboot.images import identify
from warmboot.kdump.fit import Fit
from warmboot.kdump.initrd import CaptureInitrd, Tool
from warmboot.memmap import Facts
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.report.json.documents import CachedFile, CallCounts, DebianAnswer, LayoutCounts, ReplayDisagreement
from warmboot.report.json.result import result_members
from warmboot.stages import Result, Stage

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0  # seconds


def shipped(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((files("warmboot") / "schemas" / f"{name}.json").read_text("utf-8"))
    return loaded


def checked(text: str, name: str) -> dict[str, Any]:
    """The answer in `text`, which has every member that the schema has, and no other at the top."""
    found: dict[str, Any] = json.loads(text)
    schema = shipped(name)
    Draft202012Validator(schema | {"unevaluatedProperties": False}).validate(found)
    assert (found["schema"], found["warmboot_version"]) == (schema["$id"], __version__)
    return found


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    main([str(each) for each in words])
    return capsys.readouterr().out


def test_what_is_shipped_is_what_the_answers_are() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools/schemas", "--check"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b""), "run tools/schemas"
    assert {f"{name}.json" for name in SCHEMAS} == {each.name for each in (files("warmboot") / "schemas").iterdir()}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(shipped(name))


@pytest.mark.parametrize("name", samples())
def test_inspect(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kernel").write_bytes(samples()[name])
    assert checked(run(capsys, "inspect", tmp_path / "kernel", "--json"), "inspect")["qemu_version"] is None


def test_signature(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "host.json").write_text(Facts.of_pc(1 << 30).to_json())
    words: list[str | Path] = [
        "signature",
        kernel("6.12"),
        "--like",
        tmp_path / "host.json",
        "--kernel",
        kernel("5.10"),
    ]
    found = checked(run(capsys, *words, "--json"), "signature")
    assert found["machine"]["keyring"] == ".secondary_trusted_keys"
    assert found["signature"]["signers"][0]["chain"][0]["issuer"] == "Debian Secure Boot CA"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinuz"
    path.write_bytes(demo_kernel())
    return path


def test_rehearse(image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = checked(run(capsys, "rehearse", image, "--no-boot", "--json"), "rehearse")
    assert [each["name"] for each in found["stages"]] == ["inspect", "place", "permit", "load", "hand over", "boot"]
    assert found["stages"][-1]["outcome"] == "not tried"
    (tmp_path / "initrd").write_bytes(bytes(80 << 20))
    words = ("rehearse", image, "--initrd", tmp_path / "initrd", "--memory", "128M", "--no-boot", "--json")
    refused = checked(run(capsys, *words), "rehearse")
    assert refused["stages"][-1]["figures"]["errno"] == "EINVAL"
    assert refused["stages"][-1]["figures"]["passed"]


@pytest.mark.needs_qemu
def test_rehearse_with_a_boot(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "rehearse", image, "--until", "demo kernel: halted", "--memory", "128M", "--json")
    found = checked(text, "rehearse")
    assert found["exit_status"] == 0, found["verdict"]
    assert found["qemu_version"].split(".")[0].isdigit()


def load(tmp_path: Path, *words: str | Path) -> dict[str, Any]:
    program = (sys.executable, "-IBc", "import sys; from warmboot.cli.main import main; sys.exit(main())")
    computer = tmp_path / "root"
    if not computer.exists():
        CrashMachine().write(computer)
    done = captured([*program, *words], computer, answer=lambda _: 0)
    return checked(done.stdout, str(words[0]))


@pytest.mark.needs_namespaces
def test_load_unload_and_status(tmp_path: Path) -> None:
    assert load(tmp_path, "load", kernel("6.12"), "--json")["exit_status"] == 0
    assert load(tmp_path, "load", kernel("6.12"), "--call", "kexec_file_load", "--json")["exit_status"] == 0
    assert load(tmp_path, "unload", "--json")["what"] == "image"
    assert load(tmp_path, "status", "--json")["release"]


def test_demo_and_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(run(capsys, "demo", "--json"), "demo")["exit_status"] == 0
    found = checked(run(capsys, "facts", "--json"), "facts")
    assert json.loads(run(capsys, "facts")) == found
    assert Facts.from_json(json.dumps(found)).release == found["release"]


def test_time_of_this_boot(capsys: pytest.CaptureFixture[str]) -> None:
    [stage] = checked(run(capsys, "time", "--no-keep", "--json"), "time")["stages"]
    assert stage["figures"]["this"]["boot_id"]


def test_risks(capsys: pytest.CaptureFixture[str]) -> None:
    """Whether or not this computer lets its memory be read."""
    found = checked(run(capsys, "risks", "--command-line", "quiet", "--json"), "risks")
    assert "no_console" in [each["rule"] for each in found["risks"]]
    assert (found["devices"] is None) <= bool(found["problems"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("debian", DebianAnswer((CachedFile("6.12", "/cache/vmlinuz"),))),
        ("replay", ReplayDisagreement(3, {"do": "kexec_load"}, {"ret": 0}, None, None)),
        ("replay", CallCounts(3, 2, 1)),
        ("witness", LayoutCounts(3, 2, 1)),
    ],
)
def test_what_needs_a_guest_or_a_network(name: str, value: Any) -> None:  # noqa: ANN401
    found = checked(json.dumps(answer.document(name, value)), name)
    assert {each: found[each] for each in asdict(value)} == json.loads(json.dumps(asdict(value)))


def test_handover_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = handover().memory.save(tmp_path / "memory.raw")
    found = checked(run(capsys, "handover", "show", path, "--json"), "handover-show")
    assert [each["name"] for each in found["sides"][0]["sessions"]] == ["first", "zweite"]


def test_blackbox(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, template = tmp_path / "page", record.Template(load_id=bytes(16), loaded="6.12")
    page.write_bytes(record.fresh_box(record.pack_template(template), record.Stage.CALLING))
    found = checked(run(capsys, "blackbox", "--memory", page, "--json"), "blackbox")
    assert (found["stage"], found["failed"]) == ("calling", True)


# What is run by a test of this file or of another one, or needs a guest or a network and is checked by its dataclass.
CHECKED = {
    **dict.fromkeys(("rehearse", "inspect", "signature", "facts", "demo", "risks", "blackbox", "time"), "here"),
    **dict.fromkeys(("load", "unload", "status"), "in a namespace"),
    **dict.fromkeys(("explain", "compare", "replay"), "here, by small files"),
    "check": "tests/fleet/test_command.py",
    **dict.fromkeys(("kdump test", "kdump status"), "here, with a configuration of its own"),
    **dict.fromkeys(
        ("debian kernel", "debian initrd", "debian fetch", "debian build", "crashkernel", "kdump initrd"),
        "by their dataclass",
    ),
    **dict.fromkeys(("fuzz", "witness"), "by their dataclass: as replay"),
    "handover show": "here, by a handover that was made",
    **dict.fromkeys(("handover check", "handover cost"), "tests/handover, by kernels that were built"),
    **dict.fromkeys(
        (f"roll {each}" for each in ROLL_COMMANDS), "tests/roll/test_roll.py, and tests/roll/test_command.py"
    ),
    "switch": "tests/switching, by kernels that were built",
    "record": "a trace, which has a format of its own",
    **dict.fromkeys((f"dump {each}" for each in DUMP_COMMANDS if each != "drgn"), "here, by a real dump"),
}


def test_no_command_that_prints_json_is_left_out() -> None:
    def commands(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for word, below in action.choices.items():
                    yield from commands(below, f"{name} {word}".strip())
            elif "--json" in action.option_strings:
                yield name

    assert set(commands(parser_for([]), "")) == set(CHECKED)


@pytest.mark.needs_qemu
def test_a_dump_by_every_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dump = vmcore("6.12")
    info = checked(run(capsys, "dump", "info", dump, "--json"), "dump-info")
    assert info["panicked"]["frames"]
    assert checked(run(capsys, "dump", "save", dump, tmp_path / "out", "--json"), "dump-save")["complete"]
    small = tmp_path / "out"
    checked(run(capsys, "dump", "convert", small, tmp_path / "again", "--json"), "dump-save")
    assert checked(run(capsys, "dump", "dmesg", small, "--json"), "dump-dmesg")["log"]
    assert checked(run(capsys, "dump", "read", small, "init_uts_ns", "--json"), "dump-read")["data"]
    assert checked(run(capsys, "dump", "tasks", small, "--json"), "dump-tasks")["tasks"]
    assert checked(run(capsys, "dump", "bt", small, "--json"), "dump-bt")["backtraces"]
    assert checked(run(capsys, "dump", "modules", small, "--json"), "dump-modules")["modules"]
    assert checked(run(capsys, "dump", "devices", small, "--json"), "dump-devices")["devices"]
    checked(run(capsys, "dump", "check", small, "--json"), "dump-check")
    checked(run(capsys, "dump", "diff", small, tmp_path / "again", "--json"), "dump-diff")
    checked(run(capsys, "dump", "why", dump, "0x1000", "--json"), "dump-why")
    assert checked(run(capsys, "dump", "fits", kernel("6.12"), "--json"), "dump-fits")["tools"]
    other = {**info, "crashed": 1, "taints": "W"}
    for name, members in (("a", info), ("b", other)):
        (tmp_path / name).write_text(json.dumps(members))
    found = checked(run(capsys, "compare", tmp_path / "a", tmp_path / "b", "--json"), "compare")
    assert [each["what"] for each in found["differences"]] == ["crashed", "taints"]


def test_explain_and_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "failed").write_text("kexec_load failed: Cannot assign requested address\n")
    assert checked(run(capsys, "explain", tmp_path / "failed", "--json"), "explain")["findings"]
    checked(run(capsys, "explain", "--list", "--json"), "explain")
    lines = run(capsys, "replay", ROOT / "tests/traces/linux-6.1-disabled-halfway.jsonl.xz", "--json").splitlines()
    assert checked(lines[-1], "replay")["calls"]


def test_kdump(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "kdump.toml"
    path.write_text(f'kernel = "{kernel("6.12")}"\nfolder = "{tmp_path}"\n')
    assert checked(run(capsys, "kdump", "status", "--config", path, "--json"), "kdump-status")["problems"]
    assert checked(run(capsys, "kdump", "test", "--quick", "--config", path, "--json"), "kdump-test")["checks"]


def test_a_capture_initrd() -> None:
    """A distribution's own tool makes it."""
    made = CaptureInitrd("/i", "6.12", Tool.DRACUT, ("nvme",), ("said",), Fit(1, 2, 3, 4, 5, 6, None, fits=None))
    assert checked(json.dumps(answer.document("kdump-initrd", made)), "kdump-initrd")["fit"]["fits"] is None


def test_crashkernel() -> None:
    """A search takes guests for minutes."""
    trial = crash_figures.TrialFigures(128 << 20, works=True, seconds=3.0)
    figures = crash_figures.SearchFigures(128 << 20, 1 << 20, 16 << 20, "by custom", "144M", None, (trial,))
    result = Result([Stage("search", figures=figures)], "128 MiB", "")
    assert checked(json.dumps(answer.document("crashkernel", result_members(result))), "crashkernel")["stages"]


ERRORS: dict[str, tuple[Sequence[str], int]] = {
    "no such file": (["inspect", "/nonexistent", "--json"], 2),
    "no such option": (["inspect", "--json", "--frobnicate"], 2),
    "no such command": (["frobnicate", "--json"], 2),
    "no trace": (["replay", "/nonexistent", "--json"], 2),
    "no kernel": (["rehearse", "/nonexistent", "--json"], 2),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, status = ERRORS[name]
    assert main(words) == status
    out, err = capsys.readouterr()
    assert err == ""
    found = checked(out, "error")
    assert found["exit_status"] == status
    assert found["hint"]


@pytest.mark.needs_qemu
def test_ctrl_c_in_a_boot(image: Path, tmp_path: Path) -> None:
    console = tmp_path / "console"
    words = ["rehearse", image, "--memory", "128M", "--until", "never", "--console", console, "--json"]
    with subprocess.Popen([sys.executable, "-m", "warmboot", *map(str, words)], stdout=subprocess.PIPE) as running:
        ended = time.monotonic() + PATIENCE
        while not (console.exists() and b"halted" in console.read_bytes()):
            assert running.poll() is None
            assert time.monotonic() < ended
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130
    found = checked(out.decode(), "error")
    assert (found["verdict"], found["exit_status"]) == ("interrupted", 130)
    assert found["qemu_version"]


def test_a_fault_of_ours(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, image: Path) -> None:
    """Whoever reads JSON gets JSON, and the traceback is not lost."""

    def faulty(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("warmboot.cli.inspect.identify", faulty)
    with pytest.raises(ZeroDivisionError):
        main(["inspect", str(image), "--json"])
    found = checked(capsys.readouterr().out, "error")
    assert found["verdict"] == "a fault in warmboot: ZeroDivisionError: division by zero"


def test_ctrl_c(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, image: Path) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("warmboot.cli.inspect.identify", interrupted)
    assert main(["inspect", str(image), "--json"]) == 130
    assert checked(capsys.readouterr().out, "error")["verdict"] == "interrupted"
    assert main(["inspect", str(image)]) == 130
    assert capsys.readouterr() == ("", "")
    assert identify(image)

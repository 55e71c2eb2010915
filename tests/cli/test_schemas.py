"""The schemas that are shipped are those of the answers, and every command's --json keeps to its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from support.crash_machine import CrashMachine
from support.formats import samples
from support.peer import captured
from warmboot import __version__
from warmboot.cli import answer
from warmboot.cli.main import main
from warmboot.cli.schema import SCHEMAS
from warmboot.debian import kernel
from warmboot.images import identify
from warmboot.memmap import Facts
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.report.json.documents import CachedFile, CallCounts, DebianAnswer, LayoutCounts, ReplayDisagreement

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

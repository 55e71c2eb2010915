"""`warmboot roll` where no machine is needed: what it refuses, and what it shows of a journal."""

from __future__ import annotations

import json
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from warmboot.cli.main import main
from warmboot.debian import kernel
from warmboot.roll.journal import Journal
from warmboot.roll.settings import Settings
from warmboot.roll.states import State

SCHEMA = json.loads((files("warmboot") / "schemas/roll.json").read_text("utf-8"))


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A roll that stopped: one machine has switched, one with strange words is not healthy, one waits."""
    path = tmp_path / "roll.db"
    with closing(Journal(path, create=True)) as made:
        settings = Settings(kernel=str(kernel("6.12")), inventory=("web1,",))
        number = made.begin(settings, "6.12.1", ("aa",), ["web1", "web2\x1b[31m", "web3"])
        made.set(number, "web1", state=State.SWITCHED, batch=1, before="6.1", after="6.12.1", how="kexec", downtime=4.5)
        made.set(number, "web2\x1b[31m", state=State.UNHEALTHY, batch=2, reason="\x1b]0;title\x07", hint="mend it")
        made.note(number, "web1", "load", "ok", 1.5, "kexec-tools")
        made.set_roll(number, "stopped", "stopped: web2 unhealthy", "resume", ended=True)
    return path


@pytest.mark.needs_apt
def test_status_and_report(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["roll", "status", "--state", str(journal)]) == 1
    shown = capsys.readouterr().out
    assert "roll 1: " in shown
    assert "3 machines: 1 switched, 1 unhealthy, 1 waiting" in shown
    assert "web1             switched     batch 1, 6.1 -> 6.12.1 by kexec, down 4.5 s" in shown
    assert "try: resume" in shown
    assert "\x1b" not in shown
    assert main(["roll", "report", "--machine", "web1", "--state", str(journal)]) == 1
    shown = capsys.readouterr().out
    assert "load         ok 1.5 s: kexec-tools" in shown
    assert "web3" not in shown
    for command in ("status", "report"):
        assert main(["roll", command, "1", "--json", "--state", str(journal)]) == 1
        found = json.loads(capsys.readouterr().out)
        Draft202012Validator(SCHEMA | {"unevaluatedProperties": False}).validate(found)
        assert (found["state"], found["batches"]) == ("stopped", [["web1"], ["web2\x1b[31m"]])


@pytest.mark.needs_apt
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["status", "7"], "there is no roll 7"),
        (["report", "--machine", "web9"], "'web9' is no machine of roll 1"),
        (["resume"], "is not the file that it was begun with"),
        (["resume", "7"], "there is no roll 7"),
        (["start", "KERNEL", "-i", "web1,", "--batch", "0"], "--batch 0"),
        (["start", "KERNEL", "-i", "web1,", "--canary", "-1"], "--canary -1"),
        (["start", "KERNEL", "-i", "web1,", "--forks", "0"], "--forks 0"),
        (["start", "KERNEL", "-i", "web1,", "--timeout", "nan"], "--timeout nan"),
        (["start", "KERNEL", "-i", "web1,", "--fallback-timeout", "-1"], "--fallback-timeout -1"),
        (["start", "KERNEL", "-i", "web1,", "--initrd", "nothing"], "nothing: initrd cannot be read"),
        (["start", "nothing", "-i", "web1,"], "nothing"),
        (["start", "KERNEL", "-i", "nothing", "--dry-run"], "the inventory"),
        (["start", "KERNEL"], "--inventory"),
        (["start", "KERNEL", "-i", "web1,", "--health", "a", "--health-there", "b"], "--health and --health-there"),
    ],
)
def test_what_is_refused(words: list[str], says: str, journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [str(kernel("6.12")) if each == "KERNEL" else each for each in words]
    assert main(["roll", *given, "--state", str(journal)]) == 2
    assert says in capsys.readouterr().err
    assert main(["roll", *given, "--state", str(journal), "--json"]) == 2
    assert says in json.loads(capsys.readouterr().out)["verdict"]


@pytest.mark.needs_apt
def test_machines_that_cannot_be_reached(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run touches nothing and leaves nothing; a roll stops before it begins, and --leave-out has nothing left."""
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": {"gone": {"ansible_host": "127.0.0.1", "ansible_port": 1}}}}))
    words = ["roll", "start", str(kernel("6.12")), "-i", str(inventory), "--state", str(tmp_path / "roll.db")]
    assert main([*words, "--dry-run", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["roll"], found["state"], found["batches"]) == (None, "planned", [])
    assert found["verdict"] == "it would not begin: gone unreachable"
    assert not (tmp_path / "roll.db").exists()
    assert main([*words, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"].startswith("stopped: gone unreachable; 0 of 1 run 6.12.")
    assert main(["roll", "resume", "--leave-out", "--retry", "gone", "--json", *words[-2:]]) == 1
    assert json.loads(capsys.readouterr().out)["state"] == "done"

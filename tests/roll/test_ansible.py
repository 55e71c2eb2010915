"""Ansible itself, with machines that are this computer, or are not there: what it is told, and what it tells."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from warmboot.errors import InputError, MissingToolError, RefusedError
from warmboot.roll import ansible as driver
from warmboot.roll.ansible import Ansible
from warmboot.roll.events import Event
from warmboot.roll.survey import survey

HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
GONE = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_common_args": "-o ConnectTimeout=5"}
VARIABLES = {
    "roll_jumped": ["here", "there"],  # nothing is loaded and nothing is started
    "roll_gone": [],
    "roll_before": "",
    "roll_after": "",
    "roll_health": "true",
    "roll_health_there": False,
    "roll_health_within": 1.0,
    "roll_step_timeout": 60.0,
}


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("inventory") / "hosts.json"
    path.write_text(json.dumps({"all": {"hosts": {"here": HERE, "there": HERE, "gone": GONE}}}))
    return str(path)


@pytest.fixture
def ansible(inventory: str, tmp_path: Path) -> Ansible:
    return Ansible([inventory], tmp_path / "log")


def ends(events: Iterator[Event]) -> dict[tuple[str, str], Event]:
    return {(each.machine, each.step): each for each in events if each.kind not in ("begin", "skipped")}


def test_the_names_of_an_inventory(ansible: Ansible, tmp_path: Path) -> None:
    assert ansible.hosts("all") == ["here", "there", "gone"]
    assert ansible.hosts("all:!gone") == ["here", "there"]
    with pytest.raises(InputError, match="no machine for 'nobody'"):
        ansible.hosts("nobody")
    with pytest.raises(InputError, match=r"no machine|cannot be used"):
        Ansible([str(tmp_path / "none")], tmp_path / "log").hosts("all")
    assert Ansible(["web1,web2"], tmp_path / "log").hosts("all") == ["web1", "web2"]


def test_a_survey_of_this_computer_and_of_one_that_is_not_there(ansible: Ansible) -> None:
    found = {each.name: each for each in survey(ansible, ["here", "gone"], 60.0)}
    assert found["here"].boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert found["here"].release == os.uname().release
    assert found["gone"].boot_id == ""
    assert "Connection refused" in found["gone"].problem
    assert "ansible MACHINE -m ping" in found["gone"].hint


# Commands are the user's own: what looks like a template, a number or nothing is none.
HEALTHS = {
    "true": True,
    "echo '{{ 7 * 6 }} {% raw %} {# #}' | grep -F '{{ 7 * 6 }} {% raw %} {# #}'": True,
    '[ "$ROLL_MACHINE" = here ] && echo "a: b" \'é\' \\\\': True,
    "false": False,
    "echo why >&2; exit 3": False,
    "123456": False,
}


@pytest.mark.parametrize("command", HEALTHS, ids=range(len(HEALTHS)))
def test_a_command_of_the_users(command: str, ansible: Ansible, tmp_path: Path) -> None:
    done = ends(ansible.play("switch", ["here"], VARIABLES | {"roll_health": command}))
    health = done["here", "health"]
    assert (health.kind == "ok") is HEALTHS[command], (health, (tmp_path / "log").read_text())
    if "why" in command:
        assert "exit status 3" in health.message
        assert health.message.endswith("tries: why")


def test_a_command_that_does_not_end_is_ended_with_all_that_it_started(ansible: Ansible, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    command = f"sleep 600 & echo $! >{pid}; wait"
    variables = VARIABLES | {"roll_after": command, "roll_step_timeout": 2.0}
    done = ends(ansible.play("switch", ["here"], variables))
    assert done["here", "after"].message.startswith("did not end in time")
    assert not Path(f"/proc/{pid.read_text().strip()}").exists() or _is_zombie(pid.read_text().strip())


def _is_zombie(pid: str) -> bool:
    return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()


def test_ansible_that_cannot_play(inventory: str, tmp_path: Path) -> None:
    made = Ansible([inventory], tmp_path / "log")
    with pytest.raises(RefusedError, match="Ansible ended before its play did"):
        list(made.play("nothing", ["here"], {}))


def test_without_ansible(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(driver, "find_program", lambda _: None)
    with pytest.raises(MissingToolError) as error:
        Ansible(["web1,"], tmp_path / "log").hosts("all")
    assert "warmboot[roll]" in error.value.hint


_CHILD = """\
import sys
from pathlib import Path
from warmboot.roll.ansible import Ansible
ansible = Ansible([sys.argv[1]], Path(sys.argv[2]))
variables = eval(sys.argv[3])
for event in ansible.play("switch", ["here"], variables):
    print(event.kind, event.step, flush=True)
"""


def test_no_further_step_where_nobody_keeps_the_journal(inventory: str, tmp_path: Path) -> None:
    """The health check is at work when the process that reads the events is killed: what comes after is not begun."""
    variables = VARIABLES | {
        "roll_health": f"echo >{tmp_path}/begun; sleep 2; echo >{tmp_path}/health",
        "roll_health_within": 30.0,
        "roll_after": f"echo >{tmp_path}/after",
    }
    words = [sys.executable, "-c", _CHILD, inventory, str(tmp_path / "log"), repr(variables)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        while not (tmp_path / "begun").exists():
            assert child.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.05)
        os.kill(child.pid, signal.SIGKILL)
    time.sleep(5)
    assert not (tmp_path / "after").exists()

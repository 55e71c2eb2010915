"""A fleet in QEMU that is switched from 6.1 to 6.12 by kexec: three machines, and what goes wrong on the way."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from support.roll_guests import Fleet, fleet

pytestmark = [pytest.mark.needs_qemu, pytest.mark.needs_apt, pytest.mark.one_process]

PATIENCE = 600.0  # seconds
PROGRAM = [sys.executable, "-m", "warmboot", "roll"]
SCHEMA = json.loads((files("warmboot") / "schemas/roll.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def machines() -> Iterator[Fleet]:
    with fleet({"sick": "sick", "hangs": "hangs", "well": ""}) as made:
        yield made


def state(machines: Fleet) -> list[str]:
    return ["--state", str(machines.folder / "roll.db")]


def start(machines: Fleet) -> list[str]:
    words = ["start", str(machines.kernel), "--initrd", str(machines.initrd), "-i", str(machines.inventory)]
    words += ["--health-there", "test -e /run/service", "--health-within", "2", "--batch", "1"]
    return [*words, "--timeout", "120", "--fallback", machines.reset, *state(machines)]


def roll(machines: Fleet, *words: str, status: int) -> dict[str, Any]:
    done = subprocess.run([*PROGRAM, *words, "--json"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    Draft202012Validator(SCHEMA | {"unevaluatedProperties": False}).validate(found)
    return found


def states(found: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["state"] for each in found["machines"]}


@pytest.mark.slow(90)
def test_a_roll_with_its_faults(machines: Fleet) -> None:
    old, new, guests = machines.old, machines.new, machines.guests
    # The canary jumps, and whoever keeps the journal is killed.
    with subprocess.Popen([*PROGRAM, *start(machines)], stdout=subprocess.DEVNULL) as process:
        end = time.monotonic() + PATIENCE
        while "begun" not in _outcomes(machines):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(2.5)  # the machine is told to jump, after a second
        os.kill(process.pid, signal.SIGKILL)
    found = roll(machines, "status", *state(machines), status=1)
    assert states(found) == {"sick": "under way", "hangs": "waiting", "well": "waiting"}

    # It is found on the new kernel, is not started again, and is not healthy: nobody else is touched.
    found = roll(machines, "resume", *state(machines), status=1)
    assert states(found) == {"sick": "unhealthy", "hangs": "waiting", "well": "waiting"}
    assert found["state"] == "stopped"
    assert found["batches"] == [["sick"]]
    assert [each.starts for each in guests.values()] == [[old, new], [old], [old]]
    [rehearsal] = found["rehearsals"]
    assert (rehearsal["release"], rehearsal["passed"]) == (old, True)

    # Mended, it is only checked; the next one does not come back, and is reset by the fallback command.
    assert machines.ssh("sick", "echo fine >/run/service") == ""
    words = ("resume", "--retry", "sick", *state(machines))
    found = roll(machines, *words, status=1)
    assert states(found) == {"sick": "switched", "hangs": "fell back", "well": "waiting"}
    [sick, hangs, well] = found["machines"]
    assert (sick["after"], sick["how"]) == (new, "kexec")
    assert (hangs["before"], hangs["after"], hangs["how"]) == (old, old, "firmware")
    assert hangs["downtime"] > 20
    assert well["steps"][-1]["step"] == "check"
    assert (guests["sick"].starts, guests["well"].starts) == ([old, new], [old])
    # On a busy computer it may be reset before the new kernel has come so far as to say that it is there.
    assert guests["hangs"].starts in ([old, new, old], [old, old])

    # What is left is switched; a failure that nobody retries stays what it was.
    found = roll(machines, "resume", *state(machines), status=1)
    assert states(found) == {"sick": "switched", "hangs": "fell back", "well": "switched"}
    assert (found["state"], found["states"]) == ("done", {"switched": 2, "fell back": 1})
    assert found["machines"][2]["loaded_by"].startswith("kexec-tools 2.")
    assert 0 < found["machines"][2]["downtime"] < 120
    assert guests["well"].starts == [old, new]
    done = subprocess.run([*PROGRAM, "report", *state(machines)], capture_output=True, text=True, check=False)
    assert "sick             switched     batch 1, " in done.stdout
    assert "the fallback command brought it back" in done.stdout


def _outcomes(machines: Fleet) -> list[str]:
    path = machines.folder / "roll.db"
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(path)) as database:
            return [outcome for [outcome] in database.execute("SELECT outcome FROM step")]
    except sqlite3.Error:  # it is being made
        return []

"""The journal: what is written is there after a kill, and one process at a time is at work."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from warmboot.errors import InputError, RefusedError
from warmboot.roll.answers import RollRehearsal
from warmboot.roll.journal import Journal, default_path
from warmboot.roll.settings import Settings
from warmboot.roll.states import State
from warmboot.roll.summary import summary

SETTINGS = Settings(kernel="/vmlinuz", inventory=("/hosts",))
NAMES = ["web1", "web2", "web3"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "roll.db"


def test_a_roll_is_kept(path: Path) -> None:
    with closing(Journal(path, create=True)) as journal:
        number = journal.begin(SETTINGS, "6.12.1", ("aa", "bb"), NAMES)
        journal.set(number, "web1", state=State.SWITCHED, batch=1, after="6.12.1", how="kexec", downtime=4.5, jumped=1)
        journal.set(number, "web2", boot_id="1")
        journal.note(number, "web1", "load", "ok", 1.5, "kexec-tools")
        journal.note_rehearsal(number, RollRehearsal("6.1.0", "web1", True, 8.0, "it boots"))
        journal.leave_out(number)
    assert path.stat().st_mode & 0o777 == 0o600
    with closing(Journal(path)) as journal:
        kept = journal.roll(None)
        assert (kept.id, kept.release, kept.digests, kept.ended) == (number, "6.12.1", ("aa", "bb"), None)
        assert kept.settings.leave_out
        assert journal.states(number) == {"web1": State.SWITCHED, "web2": State.WAITING, "web3": State.WAITING}
        assert journal.boots(number)["web2"] == ("1", False)
        assert journal.boots(number)["web1"] == ("", True)
        answer = summary(journal, number)
        assert (answer.state, answer.batches, answer.exit_status) == ("broken off", (("web1",),), 1)
        assert answer.states == {"switched": 1, "waiting": 2}
        [first, *_] = answer.machines
        assert (first.downtime, first.how) == (4.5, "kexec")
        assert [(each.step, each.outcome, each.seconds, each.said) for each in first.steps] == [
            ("load", "ok", 1.5, "kexec-tools")
        ]
        with journal.at_work():
            assert summary(journal, None, at_work=True).state == "under way"
        journal.set_roll(number, "stopped", "stopped: web1", "resume", ended=True)
        assert (summary(journal, None).verdict, summary(journal, None).hint) == ("stopped: web1", "resume")
        with pytest.raises(InputError, match="there is no roll 9"):
            journal.roll(9)


def test_the_newest_counts(path: Path) -> None:
    with closing(Journal(path, create=True)) as journal:
        first, second = (journal.begin(SETTINGS, each, ("aa",), NAMES) for each in ("6.1", "6.12"))
        assert (journal.roll(None).release, journal.roll(first).release) == ("6.12", "6.1")
        assert second == first + 1


_CHILD = """\
import os, signal, sys
from pathlib import Path
from warmboot.roll.journal import Journal
from warmboot.roll.settings import Settings
journal = Journal(Path(sys.argv[1]), create=True)
with journal.at_work():
    number = journal.begin(Settings(kernel="/k", inventory=("/i",)), "6.12", ("aa",), ["web1"])
    for step in range(50):
        journal.note(number, "web1", f"step {step}", "ok", None, "")
        print(step, flush=True)
    sys.stdin.read()
"""


def test_what_was_said_to_be_noted_is_there_after_a_kill(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        last = next(line for line in child.stdout if line == "30\n")
        with closing(Journal(path)) as journal:
            with pytest.raises(RefusedError, match="a roll is under way"), journal.at_work(0.3):
                pass
            assert summary(journal, None).state == "under way"
        os.kill(child.pid, signal.SIGKILL)
    with closing(Journal(path)) as journal, journal.at_work():
        [machine] = journal.machines(1)
        assert len(machine.steps) >= int(last) + 1
        assert [each.step for each in machine.steps] == [f"step {number}" for number in range(len(machine.steps))]


def test_files_that_are_no_journal(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no roll was begun"):
        Journal(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "text.db").write_text("what is this?\n" * 100)
    with pytest.raises(InputError, match="no journal of rolls"):
        Journal(tmp_path / "text.db")
    with pytest.raises(InputError, match="no journal of rolls"):
        Journal(tmp_path, create=True)
    with closing(sqlite3.connect(tmp_path / "newer.db")) as database:
        database.execute("PRAGMA user_version = 9")
    with pytest.raises(InputError, match="a journal of version 9, not 1"):
        Journal(tmp_path / "newer.db")
    with closing(Journal(tmp_path / "empty.db", create=True)) as journal, pytest.raises(InputError, match="no roll"):
        journal.roll(None)


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_path() == tmp_path / "warmboot/roll.db"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_path() == Path("/home/somebody/.local/state/warmboot/roll.db")

"""The journal of rolls: SQLite, written through to the disk before the next step begins.

Whoever resumes after a kill finds what was asked, which boot each machine was in before it was touched, and the last
step of each. A lock file, held by Ansible's processes too, says whether somebody is at work.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

from warmboot.errors import InputError, RefusedError
from warmboot.roll.answers import RollMachine, RollRehearsal, RollStep
from warmboot.roll.settings import Settings
from warmboot.roll.states import State

__all__ = ["Journal", "Kept", "default_path"]

_VERSION = 1
_TABLES = """
BEGIN;
CREATE TABLE roll (id INTEGER PRIMARY KEY, began REAL NOT NULL, ended REAL, state TEXT NOT NULL, verdict TEXT NOT NULL,
    hint TEXT NOT NULL, settings TEXT NOT NULL, release TEXT NOT NULL, digests TEXT NOT NULL);
CREATE TABLE machine (roll INTEGER NOT NULL REFERENCES roll, position INTEGER NOT NULL, name TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting', batch INTEGER, boot_id TEXT NOT NULL DEFAULT '',
    jumped INTEGER NOT NULL DEFAULT 0, before TEXT NOT NULL DEFAULT '', after TEXT NOT NULL DEFAULT '', how TEXT,
    loaded_by TEXT NOT NULL DEFAULT '', downtime REAL, reason TEXT NOT NULL DEFAULT '', hint TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (roll, name));
CREATE TABLE step (roll INTEGER NOT NULL, machine TEXT NOT NULL, at REAL NOT NULL, step TEXT NOT NULL,
    outcome TEXT NOT NULL, seconds REAL, said TEXT NOT NULL);
CREATE INDEX steps ON step (roll, machine);
CREATE TABLE rehearsal (roll INTEGER NOT NULL, release TEXT NOT NULL, machine TEXT NOT NULL, passed INTEGER NOT NULL,
    seconds REAL NOT NULL, verdict TEXT NOT NULL, PRIMARY KEY (roll, release));
PRAGMA user_version = 1;
COMMIT;
"""
_COLUMNS = frozenset(
    ("state", "batch", "boot_id", "jumped", "before", "after", "how", "loaded_by", "downtime", "reason", "hint")
)


def default_path() -> Path:
    """$XDG_STATE_HOME/warmboot/roll.db, or that in ~/.local/state."""
    base = os.environ.get("XDG_STATE_HOME", "")
    folder = Path(base) if base.startswith("/") else Path.home() / ".local/state"
    return folder / "warmboot/roll.db"


@dataclass(frozen=True, slots=True)
class Kept:
    """A roll as the journal has it. `digests` are the SHA-256 of the kernel and of the initrd, times are seconds since
    1970."""

    id: int
    began: float
    ended: float | None
    state: str
    verdict: str
    hint: str
    settings: Settings
    release: str
    digests: tuple[str, ...]


class Journal:
    """One file of SQLite. Raises InputError where it cannot be used, and is one only if `create` says so."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        try:
            if create:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            elif not path.exists():
                raise InputError(f"{path}: no roll was begun", hint="warmboot roll start, or --state FILE")
            with ExitStack() as stack:
                self._database = sqlite3.connect(path, isolation_level=None, timeout=10.0)
                stack.callback(self._database.close)
                self._prepare()
                stack.pop_all()
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"{path}: no journal of rolls: {error}", hint="name another file: --state FILE") from None

    def _prepare(self) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        [version] = self._database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self._database.executescript(_TABLES)
        elif version != _VERSION:
            raise InputError(f"{self.path}: a journal of version {version}, not {_VERSION}", hint="--state FILE")

    def close(self) -> None:
        """Close it."""
        self._database.close()

    @contextmanager
    def at_work(self, patience: float = 0.0) -> Iterator[int]:
        """Hold the lock; its descriptor, for Ansible's processes. Raises RefusedError where another has it for longer
        than `patience` seconds."""
        descriptor = os.open(
            self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            end = time.monotonic() + patience
            while not _lock(descriptor):
                if time.monotonic() >= end:
                    raise RefusedError(
                        f"{self.path}: a roll is under way, or steps of one that was killed are not done yet",
                        hint="see 'warmboot roll status'; wait, or end that process",
                    )
                time.sleep(0.2)
            yield descriptor
        finally:
            os.close(descriptor)

    def begin(self, settings: Settings, release: str, digests: tuple[str, ...], machines: list[str]) -> int:
        """A new roll; its number."""
        with self._all_or_nothing():
            row = (time.time(), "under way", "", "", settings.to_json(), release, " ".join(digests))
            cursor = self._database.execute(
                "INSERT INTO roll (began, state, verdict, hint, settings, release, digests)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            number = int(cursor.lastrowid or 0)
            self._database.executemany(
                "INSERT INTO machine (roll, position, name) VALUES (?, ?, ?)",
                [(number, position, name) for position, name in enumerate(machines)],
            )
        return number

    def roll(self, number: int | None) -> Kept:
        """That roll, or the newest. Raises InputError where there is none."""
        where, values = ("", ()) if number is None else (" WHERE id = ?", (number,))
        row = self._database.execute(
            "SELECT id, began, ended, state, verdict, hint, settings, release, digests FROM roll"
            f"{where} ORDER BY id DESC LIMIT 1",
            values,
        ).fetchone()
        if row is None:
            what = "no roll was begun" if number is None else f"there is no roll {number}"
            raise InputError(f"{self.path}: {what}", hint="warmboot roll start, or --state FILE")
        identity, began, ended, state, verdict, hint, settings, release, digests = row
        return Kept(
            identity, began, ended, state, verdict, hint, Settings.from_json(settings), release, tuple(digests.split())
        )

    def set_roll(self, number: int, state: str, verdict: str, hint: str = "", *, ended: bool) -> None:
        """How the roll stands."""
        row = (state, verdict, hint, time.time() if ended else None, number)
        self._database.execute("UPDATE roll SET state = ?, verdict = ?, hint = ?, ended = ? WHERE id = ?", row)

    def leave_out(self, number: int) -> None:
        """From now on the roll goes on without machines that refuse or cannot be reached."""
        settings = replace(self.roll(number).settings, leave_out=True)
        self._database.execute("UPDATE roll SET settings = ? WHERE id = ?", (settings.to_json(), number))

    def states(self, number: int) -> dict[str, State]:
        """The machines in their order, and how far each is."""
        rows = self._database.execute("SELECT name, state FROM machine WHERE roll = ? ORDER BY position", (number,))
        return {name: State(state) for name, state in rows}

    def batches(self, number: int) -> int:
        """How many batches there were."""
        [most] = self._database.execute("SELECT MAX(batch) FROM machine WHERE roll = ?", (number,)).fetchone()
        return int(most or 0)

    def boots(self, number: int) -> dict[str, tuple[str, bool]]:
        """The boot id that each machine had before it was touched, and whether the new kernel was seen to run."""
        rows = self._database.execute("SELECT name, boot_id, jumped FROM machine WHERE roll = ?", (number,))
        return {name: (boot_id, bool(jumped)) for name, boot_id, jumped in rows}

    def set(self, number: int, machine: str, **values: str | int | float | None) -> None:
        """Columns of a machine."""
        assert set(values) <= _COLUMNS
        columns = ", ".join(f"{name} = ?" for name in values)
        row = (*(str(each) if isinstance(each, State) else each for each in values.values()), number, machine)
        self._database.execute(f"UPDATE machine SET {columns} WHERE roll = ? AND name = ?", row)

    def note(self, number: int, machine: str, step: str, outcome: str, seconds: float | None, said: str) -> None:
        """A step of a machine."""
        row = (number, machine, time.time(), step, outcome, seconds, said)
        self._database.execute("INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def note_rehearsal(self, number: int, each: RollRehearsal) -> None:
        """A rehearsal from a release to the new kernel."""
        row = (number, each.release, each.machine, int(each.passed), each.seconds, each.verdict)
        self._database.execute("INSERT OR REPLACE INTO rehearsal VALUES (?, ?, ?, ?, ?, ?)", row)

    def rehearsals(self, number: int) -> tuple[RollRehearsal, ...]:
        """All of them."""
        rows = self._database.execute(
            "SELECT release, machine, passed, seconds, verdict FROM rehearsal WHERE roll = ? ORDER BY rowid", (number,)
        )
        return tuple(RollRehearsal(release, machine, bool(passed), *rest) for release, machine, passed, *rest in rows)

    def machines(self, number: int) -> tuple[RollMachine, ...]:
        """Each machine with its steps, in their order."""
        steps: dict[str, list[RollStep]] = {}
        for name, *rest in self._database.execute(
            "SELECT machine, step, outcome, at, seconds, said FROM step WHERE roll = ? ORDER BY rowid", (number,)
        ):
            steps.setdefault(name, []).append(RollStep(*rest))
        names = [each.name for each in fields(RollMachine) if each.name != "steps"]
        rows = self._database.execute(
            f"SELECT {', '.join(names)} FROM machine WHERE roll = ? ORDER BY position", (number,)
        )
        found = [dict(zip(names, row, strict=True)) for row in rows]
        return tuple(RollMachine(**each, steps=tuple(steps.get(each["name"], ()))) for each in found)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""Ansible, as the program that its users know: ansible-playbook plays the collection's playbooks, and is listened to.

Its own Python interface is, by its makers' word, no interface; its programs and its callbacks are. The collection's
callback tells every event over a socket and waits for an answer: what was done is in the journal before the next step
begins, and where this process is gone, Ansible ends.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from warmboot.errors import InputError, MissingToolError, RefusedError
from warmboot.machines.lifeline import spawn
from warmboot.programs import PATH, find_program
from warmboot.roll.events import MOST_LINE, Event, read_event
from warmboot.visible import visible

__all__ = ["Ansible"]

_COLLECTIONS = Path(__file__).parent / "_ansible/ansible_collections"
_PLAYBOOKS = _COLLECTIONS / "warmboot/kexec/playbooks"
_THEIRS = "~/.ansible/collections:/usr/share/ansible/collections"
_KEPT = ("HOME", "SSH_AUTH_SOCK", "USER", "LOGNAME")  # by which the user's keys and configuration are found
_MOST_HOSTS = 100_000
_MOST_SAID = 32 << 20  # bytes of a list of hosts
_HOST = re.compile(r"[^\s\x00-\x1f,:;!&~@\[\]][^\s\x00-\x1f,;!&]{0,254}")
_LISTING = 120.0  # seconds
_GLANCE = 0.2  # seconds between looks whether Ansible has ended
_DRAIN = 2.0  # seconds for what is under way when it has
_HINT = "pip install 'warmboot[roll]'   (or: apt-get install ansible-core)"


class Ansible:
    """The programs of Ansible with an inventory. Raises MissingToolError where they are not installed.

    `log` is the file that what it prints is added to; `held` are descriptors that all its processes inherit.
    """

    def __init__(
        self, inventory: Sequence[str], log: Path, *, become: bool = False, forks: int = 32, held: Sequence[int] = ()
    ) -> None:
        self._inventory = [word for each in inventory for word in ("-i", each)]
        self._log = log
        self._become = become
        self._forks = forks
        self._held = tuple(held)

    def hosts(self, limit: str) -> list[str]:
        """The names that the inventory has for a pattern, in its order. Raises InputError."""
        command = [*_program("adhoc", "ansible"), "--list-hosts", *self._inventory, "--", limit]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=_environment(),
                timeout=_LISTING,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InputError(
                f"the inventory takes more than {_LISTING:.0f} s to list its machines", hint="ansible-inventory --list"
            ) from None
        if done.returncode or len(done.stdout) > _MOST_SAID:
            raise InputError(
                f"the inventory cannot be used: {_last_line(done.stderr)}", hint="ansible-inventory --list"
            )
        rows = done.stdout.decode("utf-8", "replace").splitlines()
        names = [line.strip() for line in rows if line.startswith("    ")]
        if not names:
            said = _last_line(done.stderr)
            raise InputError(
                f"the inventory has no machine for '{visible(limit, most=60)}': {said}", hint="--limit all"
            )
        bad = next((each for each in names if not _HOST.fullmatch(each)), None)
        if bad is not None or len(names) > _MOST_HOSTS:
            what = f"'{visible(bad, most=60)}' is no name of a machine" if bad else f"{len(names)} machines"
            raise InputError(f"the inventory cannot be used: {what}", hint="ansible-inventory --list")
        return names

    def play(self, playbook: str, machines: Sequence[str], variables: Mapping[str, object]) -> Iterator[Event]:
        """Play one of the collection's playbooks on these machines; events, each of which is noted when the next is
        asked for. Raises RefusedError where Ansible does not come to its end."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="warmboot-roll-")))
            (folder / "machines").write_text("".join(f"{each}\n" for each in machines), "utf-8")
            (folder / "variables.yml").write_text(_yaml(variables), "utf-8")
            words = ["--limit", f"@{folder}/machines", "--extra-vars", f"@{folder}/variables.yml"]
            words += ["--forks", str(self._forks), *(["--become"] if self._become else []), *self._inventory]
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            with theirs, self._log.open("ab") as log:
                environment = _environment(ROLL_EVENTS=str(theirs.fileno()))
                command = ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in environment.items())]
                command += [*_program("playbook", "ansible-playbook"), *words, str(_PLAYBOOKS / f"{playbook}.yml")]
                process = spawn(command, stack, pass_fds=[theirs.fileno(), *self._held], stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            ended = False
            for event in _events(ours, process):
                ended = ended or event.kind == "end"
                yield event
            if not ended:
                raise RefusedError(
                    f"Ansible ended before its play did: {_last_line(_tail(self._log))}", hint=f"see {self._log}"
                )


def _events(ours: socket.socket, process: subprocess.Popen[bytes]) -> Iterator[Event]:
    ours.settimeout(_GLANCE)
    kept = bytearray()
    deadline: float | None = None
    while deadline is None or time.monotonic() < deadline:
        try:
            piece = ours.recv(1 << 16)
        except TimeoutError:
            if deadline is None and process.poll() is not None:
                deadline = time.monotonic() + _DRAIN
            continue
        except OSError:
            return
        if not piece:
            process.wait()
            return
        start = len(kept)
        kept += piece
        if len(kept) > MOST_LINE:
            raise RefusedError("Ansible tells more of one event than can be", hint="see its log")
        while (end := kept.find(b"\n", start)) >= 0:
            event = read_event(bytes(kept[:end]))
            del kept[: end + 1]
            start = 0
            if event is not None:
                yield event
            with suppress(OSError):
                ours.sendall(b"k")


def _program(name: str, program: str) -> list[str]:
    """How to run one of Ansible's programs: of this environment, or the system's."""
    if importlib.util.find_spec("ansible") is not None:
        return [sys.executable, "-m", "ansible", name]
    found = find_program(program)
    if found is None:
        raise MissingToolError("Ansible is not installed", hint=_HINT)
    return [found]


def _environment(**more: str) -> dict[str, str]:
    """The user's own Ansible: ANSIBLE_*, ansible.cfg here or in the home folder, and their keys; our collection
    first."""
    found = {name: value for name, value in os.environ.items() if name.startswith("ANSIBLE_")}
    found |= {name: os.environ[name] for name in _KEPT if name in os.environ}
    collections = f"{_COLLECTIONS.parent}:{found.get('ANSIBLE_COLLECTIONS_PATH') or _THEIRS}"
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": collections,
        "ANSIBLE_CALLBACKS_ENABLED": "warmboot.kexec.events",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", **found, **settings, **more}


def _yaml(variables: Mapping[str, object]) -> str:
    """Variables as YAML; texts are marked as no templates, as braces in a user's command are the command's own."""
    return "".join(f"{name}: {_value(value)}\n" for name, value in variables.items())


def _value(value: object) -> str:
    if isinstance(value, str):
        # Only those with braces: of !unsafe "true" Ansible makes a truth value, of !unsafe "" nothing at all.
        return f"{'!unsafe ' if '{' in value else ''}{json.dumps(value)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(name))}: {_value(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    return json.dumps(value)


def _tail(path: Path) -> bytes:
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
        return file.read(4096)
    return b""


def _last_line(data: bytes) -> str:
    lines = data[-4096:].decode("utf-8", "replace").splitlines()
    return visible(next((each.strip() for each in reversed(lines) if each.strip()), "it says nothing"), most=300)

"""Dumps over ssh: the system's own, streamed flattened into FILE.part, which gets its name when all has arrived.

The host's key must be known: nobody is there to be asked. The end of a stream does not say that it is whole, so the
number of bytes that arrived is compared before the file is renamed.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.errors import MissingToolError, RefusedError, WarmbootError
from warmboot.kdump.target import Check, Progress
from warmboot.kdump.to_folder import room_check
from warmboot.programs import clean_environment, find_program
from warmboot.visible import visible

if TYPE_CHECKING:
    from warmboot.dump.save import Saved
    from warmboot.dump.source import Source
    from warmboot.kdump.config import KdumpConfig

__all__ = ["SshTarget", "ssh_command"]

_PATIENCE = 60.0  # seconds for a short command
_LOST = 255  # ssh's own exit status: no connection, or it broke


def ssh_command(config: KdumpConfig, script: str) -> list[str]:
    """ssh with nothing but what is configured, which runs `script` in the shell there. Raises MissingToolError."""
    ssh = find_program("ssh")
    if ssh is None:
        raise MissingToolError("ssh is not installed", hint="apt-get install openssh-client")
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": f'"{config.known_hosts}"',
        "GlobalKnownHostsFile": "none",
        "IdentitiesOnly": "yes",
        "ConnectTimeout": "20",
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "4",
        "Compression": "no",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    where = ["-p", str(config.ssh_port), "-i", str(config.ssh_key), "--", config.ssh]
    return [ssh, "-F", "none", "-T", *words, *where, script]


@dataclass(frozen=True, slots=True)
class SshPlace:
    """A folder on the other side."""

    config: KdumpConfig
    folder: str
    name: str

    def put(self, name: str, data: bytes) -> None:
        """As Place says."""
        part, path = shlex.quote(f"{self.folder}/{name}.part"), shlex.quote(f"{self.folder}/{name}")
        whole = f'[ "$(wc -c <{part})" -eq {len(data)} ]'
        _run(self.config, f"umask 077; cat >{part} && {whole} && mv {part} {path}", data)

    def save(self, source: Source, config: KdumpConfig, progress: Progress | None) -> Saved:
        """As Place says; FILE.part until it is whole."""
        from warmboot.dump.page_jobs import processors  # noqa: PLC0415 - NumPy
        from warmboot.dump.save import STDOUT, SavePlan, save  # noqa: PLC0415

        path = f"{self.folder}/vmcore.flat"
        part = f"{path}.part"
        command = ssh_command(config, f"umask 077; exec cat >{shlex.quote(part)}")
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment()) as ssh:
            if ssh.stdin is None or ssh.stderr is None:  # both were asked for
                raise RefusedError("ssh has no pipe", hint="try again")
            plan = SavePlan(
                outputs=(STDOUT,),
                level=config.level,
                format="flattened",
                codec=config.codec,
                threads=processors(),
                pipe=ssh.stdin.fileno(),
            )
            saved = save(source, plan, progress)
            with suppress(OSError):  # it may be gone
                ssh.stdin.close()
            said = _last_line(ssh.stderr.read())
        if not saved.complete:
            raise RefusedError(f"{saved.missing}{f' ({said})' if said else ''}", hint=f"{part} has what arrived")
        if ssh.returncode:
            raise _failed(config, ssh.returncode, said)
        quoted = shlex.quote(part)
        _run(config, f'[ "$(wc -c <{quoted})" -eq {saved.bytes} ] && sync && mv {quoted} {shlex.quote(path)}')
        return saved


@dataclass(frozen=True, slots=True)
class SshTarget:
    """A folder of another computer's."""

    config: KdumpConfig

    @property
    def name(self) -> str:
        """As Target says."""
        return f"ssh://{self.config.ssh}{self.config.folder}"

    def check(self, need: int) -> Sequence[Check]:
        """As Target says: a file is written there, and removed."""
        folder = shlex.quote(str(self.config.folder))
        test = f"{folder}/.warmboot-$$"
        script = f"umask 077; mkdir -p {folder} && echo warmboot >{test} && rm {test} && df -Pk {folder}"
        try:
            answer = _run(self.config, script)
        except WarmbootError as error:
            return [Check("reachable", False, str(error))]
        words = answer.splitlines()[-1].split() if answer.strip() else []
        left = int(words[3]) << 10 if len(words) > 3 and words[3].isdecimal() else None
        reached = Check("reachable", True, self.name)
        if left is None:
            return [reached, Check("room", None, "df there did not say how much is free")]
        return [reached, room_check(left, need)]

    @contextmanager
    def place(self, folder: str) -> Iterator[SshPlace]:
        """As Target says; it is tried again for a while, as a network takes time to be up."""
        path = f"{self.config.folder}/{folder}"
        end = time.monotonic() + self.config.wait
        while True:
            try:
                _run(self.config, f"umask 077; mkdir -p {shlex.quote(path)}")
                break
            except _LostError:
                if time.monotonic() >= end:
                    raise
            time.sleep(2)
        yield SshPlace(self.config, path, f"{self.name}/{folder}")


class _LostError(RefusedError):
    """No connection."""


def _run(config: KdumpConfig, script: str, data: bytes = b"") -> str:
    """Run `script` over there with `data` as its input; what it prints. Raises RefusedError, MissingToolError."""
    command = ssh_command(config, script)
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, env=clean_environment(), check=False, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise _LostError(f"{config.ssh}: no answer in {_PATIENCE:.0f} s", hint="look at that computer") from None
    if done.returncode:
        raise _failed(config, done.returncode, _last_line(done.stderr))
    return done.stdout.decode("utf-8", "replace")


def _failed(config: KdumpConfig, status: int, said: str) -> RefusedError:
    text = f"{config.ssh}: {said or f'exit status {status}'}"
    if status == _LOST:
        return _LostError(f"ssh: {text}", hint="try it by hand: ssh -i KEY; the host's key must be in known_hosts")
    return RefusedError(text, hint="may that user write to that folder?")


def _last_line(data: bytes) -> str:
    lines = data.decode("utf-8", "replace").split("\n")
    return visible(next((each.strip() for each in reversed(lines) if each.strip()), ""), most=200)

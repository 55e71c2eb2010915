"""Facts of other computers over the system's ssh: a shell script there prints files, and they are read here."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from warmboot.errors import ExitStatus, InputError, MissingToolError, RefusedError, WarmbootError
from warmboot.live.gathered import HOSTNAME, SCRIPT, facts_of, read_gathered
from warmboot.memmap import Facts
from warmboot.programs import clean_environment, find_program
from warmboot.visible import visible

__all__ = ["Gathered", "UnreachableError", "facts_over_ssh"]

_HOST = re.compile(r"[A-Za-z0-9_.%:\[\]][A-Za-z0-9_.%:@\[\]-]{0,254}")
_AT_ONCE = 32
_MOST_OUTPUT = 4 << 20  # bytes of one host's answer, of which so many are under way: the largest have half of that
_MOST_ERRORS = 4096  # bytes of what ssh says
_CHUNK = 1 << 16
_GLANCE = 0.1  # seconds between looks whether ssh has ended
_LOST = 255  # ssh's own exit status
_KEPT = ("HOME", "SSH_AUTH_SOCK", "USER", "LOGNAME")  # by which the caller's keys and configuration are found


class UnreachableError(RefusedError):
    """A computer that ssh cannot reach, or that does not answer."""

    exit_status = ExitStatus.NOT_TRIED


@dataclass(frozen=True)
class Gathered:
    """One host's facts, or why there are none; `lacked` is what had to be assumed."""

    host: str
    facts: Facts | None = None
    hostname: str = ""
    lacked: tuple[str, ...] = ()
    error: WarmbootError | None = None


def facts_over_ssh(hosts: Iterable[str], *, timeout: float = 30.0, config: str | None = None) -> Iterator[Gathered]:
    """Each host's, in their order, many asked at once; `timeout` are seconds for each, `config` is ssh's -F.

    Raises InputError for a name that is none of a host, MissingToolError without ssh.
    """
    hosts = list(hosts)
    for each in hosts:
        if not _HOST.fullmatch(each):
            raise InputError(f"'{visible(each, most=60)}' is no host", hint="give HOST or USER@HOST, as ssh takes it")
    ssh = find_program("ssh")
    if ssh is None:
        raise MissingToolError("ssh is not installed", hint="apt-get install openssh-client")
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(max(1, int(timeout))),
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "LogLevel": "ERROR",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
    }
    head = [ssh, *(("-F", config) if config else ()), "-T"]
    head += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]

    def ask(host: str) -> Gathered:
        try:
            found = read_gathered(_run([*head, "--", host, "exec sh -s"], host, timeout), host)
            facts, lacked = facts_of(found, host)
        except WarmbootError as error:
            return Gathered(host, error=error)
        return Gathered(host, facts, (found.get(HOSTNAME) or b"").decode("ascii", "replace").strip(), tuple(lacked))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(ask, hosts)


def _run(command: list[str], host: str, timeout: float) -> bytes:
    environment = clean_environment(**{name: os.environ[name] for name in _KEPT if name in os.environ})
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as ssh:
        try:
            heard = _exchange(ssh, time.monotonic() + timeout)
        finally:
            ssh.kill()
    if len(heard.output) > _MOST_OUTPUT:
        raise InputError(f"{host}: answers with more than {_MOST_OUTPUT} bytes", hint="see what a login prints there")
    if heard.status is None:
        raise UnreachableError(f"{host}: no answer in {timeout:g} seconds", hint="--timeout S, or ask it later")
    if heard.status == _LOST or (heard.status and not heard.output):
        words = visible(heard.words.decode("utf-8", "replace").strip().split("\n")[-1], most=160)
        raise UnreachableError(
            f"{host}: {words or f'ssh ended with status {heard.status}'}",
            hint=f"it must work without a question: ssh -o BatchMode=yes {host} true",
        )
    return bytes(heard.output)


@dataclass
class _Heard:
    """What ssh printed, as far as it is kept; `status` is None where it had not ended in time."""

    output: bytearray
    words: bytearray
    status: int | None = None


def _exchange(ssh: subprocess.Popen[bytes], deadline: float) -> _Heard:
    """Give it the script and hear it out. What it leaves behind, as ControlPersist, may keep its pipes: ssh's own end
    counts, not theirs."""
    heard = _Heard(bytearray(), bytearray())
    if ssh.stdin is None or ssh.stdout is None or ssh.stderr is None:  # all were asked for
        raise RefusedError("ssh has no pipe", hint="try again")
    with suppress(OSError):  # it has ended, as its status will say
        ssh.stdin.write(SCRIPT.encode())
    with suppress(OSError):
        ssh.stdin.close()
    with selectors.DefaultSelector() as pipes:
        pipes.register(ssh.stdout, selectors.EVENT_READ, (heard.output, _MOST_OUTPUT + 1))
        pipes.register(ssh.stderr, selectors.EVENT_READ, (heard.words, _MOST_ERRORS))
        while len(heard.output) <= _MOST_OUTPUT:
            ended = ssh.poll() is not None
            ready = pipes.select(0 if ended else min(_GLANCE, max(0.0, deadline - time.monotonic())))
            if ended and not ready:
                heard.status = ssh.wait()
                break
            if time.monotonic() >= deadline and not ended:
                break
            for key, _ in ready:
                kept, most = key.data
                chunk = os.read(key.fd, _CHUNK)
                kept += chunk[: most - len(kept)]
                if not chunk:
                    pipes.unregister(key.fileobj)
    return heard

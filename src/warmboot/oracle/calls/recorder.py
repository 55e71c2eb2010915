"""Recording: operations played on a real kernel, and what it answered."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from warmboot.errors import InputError
from warmboot.live.facts import read_facts
from warmboot.machines.guest import Guest, GuestError
from warmboot.memmap import Facts
from warmboot.oracle.calls.trace import Answer, CrashSize, KexecLoad, Operation, Sysctl
from warmboot.oracle.guest.root import agent_layer, operations_layer, root_layer
from warmboot.oracle.guest.told import AgentError, AnswerTold, Done, FailureTold, FileTold, parse
from warmboot.visible import visible

__all__ = ["Hold", "Playable", "Reboot", "Recording", "Release", "agent_line", "facts_told", "record"]

_TIMEOUT = 180.0  # seconds without a word: a guest boots in four, no call takes ten, but others may be at work too


class Hold(NamedTuple):
    """A kexec_load that stops inside the kernel, at a source whose place is `held`; it has no answer."""

    call: KexecLoad


class Release(NamedTuple):
    """The held call goes on: its answer."""


class Reboot(NamedTuple):
    """reboot by kexec, to be played where it is refused."""


Playable: TypeAlias = Operation | Hold | Release | Reboot  # the last three are in no trace


class Recording:
    """One guest that plays `operations`; `facts` are known once `answers` has begun. A context manager's content."""

    def __init__(
        self,
        kernel: Path,
        operations: Sequence[Playable],
        *,
        memory: int = 1 << 30,
        append: str = "",
        timeout: float = _TIMEOUT,
    ) -> None:
        self._kernel = kernel
        self._operations = operations
        self._memory = memory
        self._append = append
        self._timeout = timeout

    def play(self) -> Iterator[Facts | Answer]:
        """First the facts, then one answer an operation, as they come. Raises GuestError."""
        initrds = [root_layer(), agent_layer(), operations_layer(agent_line(each) for each in self._operations)]
        with Guest(self._kernel, initrds, memory=self._memory, append=self._append) as guest:
            yield from self._listen(guest)

    def _listen(self, guest: Guest) -> Iterator[Facts | Answer]:
        files: dict[str, bytes] = {}
        told: set[str] = set()
        answered, asked = 0, sum(not isinstance(each, Hold) for each in self._operations)
        try:
            for line in guest.lines(self._timeout):
                match parse(line):
                    case FileTold(path, content, error):
                        if path in told or answered:
                            raise AgentError("it has told of that file before", line)
                        told.add(path)
                        if not error:
                            files[path] = content
                    case AnswerTold(ret, loaded, crash_loaded, size):
                        if not answered:
                            yield facts_told(files)
                        answered += 1
                        if answered > asked:
                            raise AgentError(f"only {asked} answers were asked for", line)
                        yield Answer(ret, loaded, crash_loaded, size)
                    case Done():
                        if answered < asked:
                            raise AgentError(f"{asked} answers were asked for, and {answered} came", line)
                        if not answered:
                            yield facts_told(files)
                        return
                    case FailureTold(text):
                        raise GuestError(f"the agent failed: {text}", guest.last_words())
            raise GuestError("the guest died", guest.last_words())
        except GuestError as error:
            where = f"in operation {answered + 1}" if files else "before the agent could speak"
            raise GuestError(f"{visible(self._kernel.name)}: {error.what} {where}", error.last_words) from None


def record(
    kernel: Path, operations: Sequence[Playable], *, memory: int = 1 << 30, append: str = ""
) -> tuple[Facts, list[Answer]]:
    """Play all operations and wait for the end. Raises GuestError."""
    facts, *answers = Recording(kernel, operations, memory=memory, append=append).play()
    assert isinstance(facts, Facts)
    return facts, [each for each in answers if isinstance(each, Answer)]


def agent_line(operation: Playable) -> str:
    """An operation as the agent reads it."""
    match operation:
        case KexecLoad():
            segments = [f"{buf.at}:{buf.size}:{bufsz}:{mem}:{memsz}" for buf, bufsz, mem, memsz in operation.segments]
            numbers = f"{operation.entry} {operation.nr_segments} {operation.flags}"
            caller = "nobody" if operation.nobody else "root"
            return " ".join(["k", operation.abi, numbers, operation.table, caller, *segments])
        case Sysctl():
            return f"s {operation.name} {operation.value.encode().hex()}"
        case CrashSize():
            return f"c {operation.value.encode().hex()}"
        case Hold():
            return f"h{agent_line(operation.call)[1:]}"
        case Release():
            return "r"
        case Reboot():
            return "e"


def facts_told(files: Mapping[str, bytes]) -> Facts:
    """The facts as this computer's would be read, from files laid out alike; `files` have names of `agent.FACTS`."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        try:
            return read_facts(root)
        except InputError as error:
            raise InputError(f"the guest's facts: {error}", hint="the guest's kernel needs /proc and /sys") from None

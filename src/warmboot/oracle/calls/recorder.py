"""Recording: operations played on a real kernel, and what it answered."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

from warmboot.errors import InputError
from warmboot.live.facts import read_facts
from warmboot.machines.guest import Guest, GuestError
from warmboot.memmap import Facts
from warmboot.oracle.calls.contents import Contents
from warmboot.oracle.calls.file_lines import file_line
from warmboot.oracle.calls.file_trace import KexecFileLoad, LiveUpdateCall
from warmboot.oracle.calls.trace import Answer, CrashSize, KexecLoad, Operation, Sysctl
from warmboot.oracle.calls.write_trace import contents_of
from warmboot.oracle.guest.root import agent_layer, contents_layer, next_layer, operations_layer, root_layer
from warmboot.oracle.guest.told import AgentError, AnswerTold, Done, FailureTold, FileTold, parse
from warmboot.visible import visible

__all__ = [
    "Hold",
    "Playable",
    "Reboot",
    "Recording",
    "Release",
    "agent_line",
    "facts_told",
    "read_told_facts",
    "record",
    "root_told",
]

_TIMEOUT = 180.0  # seconds without a word: a guest boots in four, no call takes ten, but others may be at work too
_SCREEN = re.compile(r"^.*\x1b\[[0-9;=]*[A-Za-z]")  # EFI firmware clears the screen on each serial port

_JUMP = LiveUpdateCall("kexec")


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
        contents: Contents | None = None,
        firmware: Path | None = None,
    ) -> None:
        self._kernel = kernel
        self._operations = operations
        self._memory = memory
        self._append = append
        self._timeout = timeout
        self._contents = contents or Contents()
        self._firmware = firmware

    def play(self) -> Iterator[Facts | Answer]:
        """First the facts, then one answer an operation, as they come. Raises GuestError."""
        contents = {each: self._contents.get(each) for each in contents_of(self._operations)}
        initrds = [root_layer(), agent_layer(), operations_layer(agent_line(each) for each in self._operations)]
        if contents:
            initrds.append(contents_layer(contents))
        if _JUMP in self._operations:
            initrds.append(next_layer(self._kernel.read_bytes(), b"".join(initrds)))
        options = ["-bios", str(self._firmware)] if self._firmware else []
        with Guest(self._kernel, initrds, memory=self._memory, append=self._append, options=options) as guest:
            yield from self._listen(guest)

    def _listen(self, guest: Guest) -> Iterator[Facts | Answer]:
        files: dict[str, bytes] = {}
        told: set[str] = set()
        answered, asked = 0, sum(not isinstance(each, Hold) for each in self._operations)
        try:
            for line in guest.lines(self._timeout):
                match parse(line if told or self._firmware is None else _SCREEN.sub("", line)):
                    case FileTold(path, content, error):
                        if path in told or answered:
                            raise AgentError("it has told of that file before", line)
                        told.add(path)
                        if not error:
                            files[path] = content
                    case AnswerTold(ret, loaded, crash_loaded, size, out):
                        if not answered:
                            yield facts_told(files)
                        answered += 1
                        if answered > asked:
                            raise AgentError(f"only {asked} answers were asked for", line)
                        yield Answer(ret, loaded, crash_loaded, size, out)
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
    kernel: Path,
    operations: Sequence[Playable],
    *,
    memory: int = 1 << 30,
    append: str = "",
    contents: Contents | None = None,
    firmware: Path | None = None,
    progress: Callable[[], None] | None = None,
) -> tuple[Facts, list[Answer]]:
    """Play all operations and wait for the end; `firmware` is EFI's, None for QEMU's own. `progress` is called at each
    answer. Raises GuestError.
    """
    played = Recording(kernel, operations, memory=memory, append=append, contents=contents, firmware=firmware).play()
    facts = next(played)
    assert isinstance(facts, Facts)
    answers = []
    for each in played:
        assert isinstance(each, Answer)
        answers.append(each)
        if progress is not None:
            progress()
    return facts, answers


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
        case KexecFileLoad() | LiveUpdateCall():
            return file_line(operation)
        case Hold():
            return f"h{agent_line(operation.call)[1:]}"
        case Release():
            return "r"
        case Reboot():
            return "e"


def facts_told(files: Mapping[str, bytes]) -> Facts:
    """The facts as this computer's would be read, from files laid out alike; `files` have names of `agent.FACTS`."""
    with root_told(files) as root:
        return read_told_facts(root)


def read_told_facts(root: Path) -> Facts:
    """The facts in such a folder. Raises InputError."""
    try:
        return read_facts(root)
    except InputError as error:
        raise InputError(f"the guest's facts: {error}", hint="the guest's kernel needs /proc and /sys") from None


@contextmanager
def root_told(files: Mapping[str, bytes]) -> Iterator[Path]:
    """A folder with proc/ and sys/ of a guest, for as long as it is needed."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        yield root

"""Recording: operations played on a real kernel, and what it answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from warmboot.machines.guest import Guest, GuestError
from warmboot.memmap import Facts
from warmboot.oracle.calls.trace import Answer, CrashSize, KexecLoad, Operation, Sysctl
from warmboot.oracle.guest.answers import FactsTold, GuestAnswerError, read_answer
from warmboot.oracle.guest.root import agent_layer, operations_layer, root_layer
from warmboot.visible import visible

__all__ = ["Hold", "Playable", "Reboot", "Recording", "Release", "agent_line", "record"]

_TIMEOUT = 180.0  # seconds without a word: a guest boots in four, no call takes ten, but others may be at work too
_LONGEST_COMPLAINT = 500  # characters


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
        """First the facts, then one answer an operation, as they come. Raises GuestError, GuestAnswerError."""
        initrds = [root_layer(), agent_layer(), operations_layer(agent_line(each) for each in self._operations)]
        with Guest(self._kernel, initrds, memory=self._memory, append=self._append) as guest:
            yield from self._listen(guest)

    def _listen(self, guest: Guest) -> Iterator[Facts | Answer]:
        told = FactsTold()
        asked = sum(not isinstance(each, Hold) for each in self._operations)
        answered = 0
        try:
            for line in guest.lines(self._timeout):
                match line.split()[:1]:
                    case ["f"] if not answered:
                        told.take(line)
                    case ["a"] if answered < asked:
                        answer = read_answer(line)
                        if not answered:
                            yield told.facts()
                        yield answer
                        answered += 1
                    case ["done"] if answered == asked:
                        if not answered:
                            yield told.facts()
                        return
                    case ["x"]:
                        said = visible(line[2:], most=_LONGEST_COMPLAINT)
                        raise GuestError(f"the agent failed: {said}", guest.last_words())
                    case _:
                        raise GuestAnswerError(line, f"answer {answered + 1} of {asked}")
            raise GuestError("the guest died", guest.last_words())
        except GuestError as error:
            where = f"in operation {answered + 1}" if told else "before the agent could speak"
            raise GuestError(f"{visible(self._kernel.name)}: {error.what} {where}", error.last_words) from None


def record(
    kernel: Path, operations: Sequence[Playable], *, memory: int = 1 << 30, append: str = ""
) -> tuple[Facts, list[Answer]]:
    """Play all operations and wait for the end. Raises GuestError, GuestAnswerError."""
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

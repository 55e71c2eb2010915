"""The witness: the same image loaded and entered by real Linux and by the model, and what it finds in each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from warmboot.closing import Closing
from warmboot.errors import RefusedError
from warmboot.kernel import CpuState, Kernel, PhysicalMemory, Policy, Profile
from warmboot.machines.arch import DEFAULT
from warmboot.machines.guest import GuestError
from warmboot.machines.snapshot import Snapshot
from warmboot.machines.unicorn import execute
from warmboot.memmap import Facts
from warmboot.oracle.calls.recorder import facts_told
from warmboot.oracle.guest.root import root_layer, witness_layer
from warmboot.oracle.guest.told import FileTold, parse
from warmboot.oracle.witness.arch import of
from warmboot.oracle.witness.comparison import Difference, differences
from warmboot.oracle.witness.layouts import WitnessLayout, pattern
from warmboot.oracle.witness.statement import Statement, StatementError
from warmboot.visible import visible

__all__ = ["Verdict", "Witness", "ask_model"]

_CRASHKERNEL = "crashkernel=64M"
_MOST_LINES = 10_000  # of a witness's report, which has some hundreds
_TIMEOUT = 60.0  # seconds until there must be a report: it takes one at most
_POLICIES = tuple(Policy)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A layout, what both kernels' witnesses said, or why they did not, and in what they differ."""

    layout: WitnessLayout
    linux: Statement | str
    model: Statement | str
    differences: tuple[Difference, ...]


class Witness(Closing):
    """One machine under one kernel, booted once; `ask` as often as wanted. A context manager.

    Raises GuestError where the kernel does not boot.
    """

    def __init__(self, kernel: Path, *, memory: int = 512 << 20) -> None:
        with ExitStack() as held:
            initrds = [root_layer(), witness_layer(of(DEFAULT).code, pattern())]
            self._snapshot = held.enter_context(Snapshot(kernel, initrds, memory=memory, append=_CRASHKERNEL))
            self.facts: Facts = _facts(kernel, self._snapshot.words)
            self._held = held.pop_all()

    def close(self) -> None:
        """End everything that was started."""
        self._held.close()

    def ask(self, layout: WitnessLayout, profile: Profile | None = None) -> Verdict:
        """Both, the model under `profile` if given, and compare.

        A kernel that refuses, or does not come to the end of a report, is a difference.
        """
        linux = self._linux(layout)
        model = _model(self.facts, layout, profile)
        if isinstance(linux, Statement) and isinstance(model, Statement):
            expected = [
                (start, start + size, digest)
                for (start, size), digest in zip(layout.regions, layout.digests(), strict=True)
            ]
            found = differences(linux, model, of(layout.machine).report, crash=layout.crash, expected=expected)
        else:
            found = [
                Difference("the image", *(each if isinstance(each, str) else "reports" for each in (linux, model)))
            ]
        return Verdict(layout, linux, model, tuple(found))

    def _linux(self, layout: WitnessLayout) -> Statement | str:
        with self._snapshot.copy() as guest:
            guest.send(layout.agent_line())
            answer = next(guest.lines(_TIMEOUT), "the guest ended")
            if answer != "a 0":
                return f"answers '{visible(answer, most=80)}'"
            said = []
            for line in guest.console(_TIMEOUT):
                said.append(line)
                if line == "witness: end" or len(said) == _MOST_LINES:
                    break
        try:
            return Statement.parse("\n".join(said), of(layout.machine).report)
        except StatementError as error:
            return f"{error}; the console's last lines: {[visible(each, most=80) for each in said[-3:]]}"


def _model(facts: Facts, layout: WitnessLayout, profile: Profile | None) -> Statement | str:
    try:
        return ask_model(facts, layout, profile)
    except RefusedError as error:  # as KexecError is, and what the emulator raises where the image faults
        return str(error)


def ask_model(
    facts: Facts, layout: WitnessLayout, profile: Profile | None = None, *, timeout: float = _TIMEOUT
) -> Statement:
    """What the witness finds under the model of that machine; its page allocator is another for each layout.

    Raises KexecError where the model refuses, RefusedError where the image faults or does not halt, StatementError.
    """
    deadline = time.monotonic() + timeout

    def look(state: CpuState) -> None:
        if time.monotonic() > deadline:
            raise RefusedError(f"the image has not halted for {timeout:g} s", hint="look at its segments")

    policy = _POLICIES[layout.number % len(_POLICIES)]
    with PhysicalMemory.of(facts) as memory:
        kernel = Kernel(facts, memory, profile=profile, policy=policy, seed=layout.number)
        kernel.kexec_load(layout.request())
        state = kernel.crash_kexec() if layout.crash else kernel.reboot()
        assert state is not None
        said = execute(memory, state, progress=look).serial
    return Statement.parse(said.decode("ascii", "replace"), of(layout.machine).report)


def _facts(kernel: Path, words: Sequence[str]) -> Facts:
    files = {}
    for word in words:
        match parse(word):
            case FileTold(path, content, error):
                if not error:
                    files[path] = content
            case told:
                raise GuestError(f"{kernel.name}: the agent says {told}", [])
    return facts_told(files)

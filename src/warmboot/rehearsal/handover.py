"""The hand-over: relocation code and purgatory, executed in this process up to the new kernel's entry point."""

from __future__ import annotations

import time
from collections.abc import Callable

from warmboot.figures import HandOverFigures
from warmboot.kernel import CpuState, PhysicalMemory
from warmboot.machines.machine import Machine
from warmboot.placement import Placement
from warmboot.purgatory import of as purgatory_of
from warmboot.records import dataclass
from warmboot.rehearsal.arch import of

__all__ = ["HandOver", "hand_over", "hand_over_figures", "jumping", "marked"]


@dataclass(frozen=True, slots=True)
class HandOver:
    """Where the processor came to. `reached` says whether that is the new kernel's entry point.

    `instructions` is None where nobody asked for counting; a repeated string instruction counts once.
    """

    state: CpuState
    reached: bool
    digest_checked: bool
    relocation_seconds: float
    purgatory_seconds: float
    instructions: int | None = None
    serial: str = ""
    problem: str = ""
    hint: str = ""


def hand_over(
    machine: Machine,
    placement: Placement,
    *,
    check_digest: bool = True,
    count: bool = False,
    progress: Callable[[int], None] | None = None,
) -> HandOver:
    """Start the image that `machine`'s kernel has loaded, and stop at the new kernel's first instruction.

    Without `check_digest` the purgatory runs all the same but has nothing to check. `progress` is told how many
    bytes are in their destination. Raises KexecError where nothing is loaded, RefusedError where the code faults.
    """
    from warmboot.machines.unicorn import execute  # noqa: PLC0415 - a library that takes a while to import

    memory, request = machine.memory, placement.request
    began = time.monotonic()
    report = None if progress is None else _relocated(machine, placement, progress)
    relocation = execute(memory, jumping(machine, placement), until=request.entry, count=count, progress=report)
    relocated = time.monotonic()
    purgatory = relocation
    if placement.has_purgatory:
        if not check_digest:
            offset, nothing = purgatory_of(machine.facts.machine).unchecked()
            memory.write(request.entry + offset, nothing)
        purgatory = execute(memory, relocation.state, until=placement.kernel_entry, count=count)
    ended = time.monotonic()
    instructions = (relocation.instructions or 0) + (purgatory.instructions or 0)
    said = purgatory.serial.decode("ascii", "replace").strip()
    far = "" if purgatory.reached else marked(memory, placement)
    return HandOver(
        state=purgatory.state,
        reached=purgatory.reached,
        digest_checked=check_digest and purgatory.reached and bool(placement.regions),
        relocation_seconds=relocated - began,
        purgatory_seconds=ended - relocated,
        instructions=instructions if count else None,
        serial=said,
        problem="" if purgatory.reached else f"stopped at {purgatory.state.pc:#x}: {far or said or 'no message'}",
        hint="" if purgatory.reached else "the image changed between loading and starting: load it again",
    )


def jumping(machine: Machine, placement: Placement) -> CpuState:
    """The processor as it enters the relocation code of what is loaded, which marks its stages too if there is a box.

    Raises KexecError where nothing is loaded.
    """
    state, box = machine.kernel.reboot(), placement.marks.box
    if not box:
        return state
    from warmboot.purgatory.record import fresh_box  # noqa: PLC0415 - for this alone

    machine.memory.write(box, fresh_box(placement.marks.template))  # a segment's page, or nobody's
    return state.marking(box)


def marked(memory: PhysicalMemory, placement: Placement) -> str:
    """How far it came by the black box, where that is still there and says that the kernel did not take over."""
    if not placement.marks.box:
        return ""
    from warmboot.blackbox.in_words import how_far  # noqa: PLC0415 - for what failed alone
    from warmboot.purgatory.record import BOX_SIZE, Stage, parse  # noqa: PLC0415

    box = parse(memory.read(placement.marks.box, BOX_SIZE))
    if box is None or (box.stage is not None and box.stage >= Stage.ENTERING and box.exception is None):
        return ""
    return how_far(box)


def hand_over_figures(done: HandOver, placement: Placement) -> HandOverFigures:
    """What the stage shows of it."""
    return HandOverFigures(
        executed="in this process",
        digest="verified in this process" if done.digest_checked else "left to QEMU's start",
        digest_algorithm=placement.digest_algorithm,
        digest_bytes=placement.digest_size,
        relocation_seconds=done.relocation_seconds,
        purgatory_seconds=done.purgatory_seconds,
        registers=done.state.as_dict(),
        serial=done.serial,
    )


def _relocated(machine: Machine, placement: Placement, progress: Callable[[int], None]) -> Callable[[CpuState], None]:
    """Reads from the relocation code's registers (see relocate_kernel.S) how far it came."""

    arch = of(machine.facts.machine)

    def report(state: CpuState) -> None:
        done, at = 0, arch.relocated_to(state)
        for segment in placement.request.segments:
            if segment.mem <= at <= segment.end:
                progress(done + at - segment.mem)
                return
            done += segment.memsz

    return report

"""Hand-overs of the model that must fail: its page list is wrong, or its start. The relocation code is ours, in QEMU.

Linux's own relocation code leaves no marks, and nobody can reach its page list; the model's lies in memory that this
process shares with QEMU. After the fault QEMU is reset warmly, and the page is read from what the reset has left.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

from support.guests import shell
from support.journey import kernel_file
from warmboot.blackbox.record import BOX_SIZE, Box, Stage, Template, parse
from warmboot.images import identify
from warmboot.kernel import CpuState
from warmboot.kernel.kimage import Ind
from warmboot.machines.accel import Accel
from warmboot.machines.arch import of
from warmboot.machines.machine import Machine
from warmboot.machines.qemu import QemuMachine
from warmboot.machines.qmp import Monitor, connected
from warmboot.memmap import Facts, Range
from warmboot.placement import PlaceOptions, place
from warmboot.placement.options import BlackBox
from warmboot.rehearsal.handover import jumping
from warmboot.uapi import PAGE_SIZE

__all__ = ["MODEL_FAULTS", "ModelFault", "model_told"]

_SERIES = "6.12"
_MEMORY = 512 << 20  # bytes
_PAGE = Range(0x0C00_0000, 0x0C00_1000)  # physical: the box
_UNMAPPED = 0xC000_0000  # physical, but no RAM, and in no identity mapping
_PATIENCE = 240.0  # seconds, on a busy machine
_POLL = 0.02


@dataclass(frozen=True, slots=True)
class ModelFault:
    """One fault: the last `stage` that is marked, the rule that is its cause, and what makes it of a good hand-over."""

    name: str
    about: str
    stage: Stage
    rule: str
    change: Callable[[Machine, CpuState], CpuState]


def model_told(fault: ModelFault) -> tuple[Box | None, dict[str, Any]]:
    """What the page tells after a fault and a reset: as `record` reads it, and as `warmboot blackbox --json` does."""
    board = of("x86_64").board(Facts.of_pc(_MEMORY, cpus=1), 1, _MEMORY)
    computer = board.computer
    with ExitStack() as stack:
        machine = stack.enter_context(Machine(board.facts.reserve(_PAGE), banks=computer.banks))
        with ExitStack() as passed:
            ours, theirs = connected(stack, passed)
            monitor = ["-chardev", f"socket,id=button,fd={theirs.fileno()}", "-mon", "chardev=button,mode=control"]
            qemu = stack.enter_context(
                QemuMachine(
                    computer,
                    memory_fd=machine.memory.fd,
                    accel=Accel.TCG,
                    options=["-action", "reboot=reset", *monitor],
                    fds=[theirs.fileno()],
                )
            )
            qemu.start()
        button = Monitor(ours)
        box = BlackBox(_PAGE.start, Template(load_id=os.urandom(16), loaded_at=time.time_ns(), loaded=_SERIES))
        options = PlaceOptions(initrds=[memoryview(shell(b""))], command_line="console=ttyS0", blackbox=box)
        placement = place(identify(kernel_file(_SERIES)), board.host.reserve(_PAGE), options)
        machine.kernel.kexec_load(placement.request)
        qemu.release(fault.change(machine, jumping(machine, placement)), timeout=_PATIENCE)
        _until(lambda: _is_dark(machine), qemu)
        # A new mailbox is empty: the firmware's stub fills it again after the reset.
        with closing(computer.mailbox(machine.memory.fd)) as mailbox:
            button.ask("system_reset")
            _until(mailbox.ready, qemu)
        page = machine.memory.read(_PAGE.start, BOX_SIZE)
    return parse(page), _story(page)


def _is_dark(machine: Machine) -> bool:
    box = parse(machine.memory.read(_PAGE.start, BOX_SIZE))
    return box is not None and (box.differs or box.exception is not None)


def _until(holds: Callable[[], bool], qemu: QemuMachine) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not holds():
        if qemu.ended or time.monotonic() > deadline:
            raise AssertionError(f"it never came: {[each.text for each in qemu.lines(1)]}")
        time.sleep(_POLL)


def _story(page: bytes) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(page)
        file.flush()
        command = [sys.executable, "-m", "warmboot", "blackbox", "--memory", file.name, "--json"]
        done = subprocess.run(command, capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _entries(machine: Machine, kind: Ind) -> list[tuple[int, int]]:
    """(physical address, value) of the page list's entries of that kind."""
    image = machine.kernel.kexec_image
    assert image is not None
    listed = [(image.entry_address(number), value) for number, value in enumerate(image.entries)]
    return [(address, value) for address, value in listed if value & (PAGE_SIZE - 1) == kind]


def _write(machine: Machine, address: int, value: int) -> None:
    machine.memory.write(address, value.to_bytes(8, "little"))


def _source_nowhere(machine: Machine, state: CpuState) -> CpuState:
    sources = _entries(machine, Ind.SOURCE)
    _write(machine, sources[len(sources) // 2][0], _UNMAPPED | Ind.SOURCE)
    return state


def _destination_nowhere(machine: Machine, state: CpuState) -> CpuState:
    _write(machine, _entries(machine, Ind.DESTINATION)[-1][0], _UNMAPPED | Ind.DESTINATION)
    return state


def _two_sources_exchanged(machine: Machine, state: CpuState) -> CpuState:
    (first, one), *_, (last, other) = _entries(machine, Ind.SOURCE)[:1000]
    _write(machine, first, other)
    _write(machine, last, one)
    return state


def _start_nowhere(_: Machine, state: CpuState) -> CpuState:
    return replace(state, rdx=_UNMAPPED)


MODEL_FAULTS: tuple[ModelFault, ...] = (
    ModelFault(
        "wrong page list",
        "a source page of the list is an address that is not mapped",
        Stage.RELOCATING,
        "page_list",
        _source_nowhere,
    ),
    ModelFault(
        "unmapped destination",
        "a destination of the list is an address that is not mapped",
        Stage.RELOCATING,
        "page_list",
        _destination_nowhere,
    ),
    ModelFault(
        "pages exchanged",
        "two entries of the page list are exchanged",
        Stage.CHECKING,
        "digest",
        _two_sources_exchanged,
    ),
    ModelFault(
        "wrong start",
        "the relocation code jumps to an address that is not mapped",
        Stage.RELOCATED,
        "wrong_entry",
        _start_nowhere,
    ),
)

"""A crash on the model: QEMU goes on with the same memory, of which no byte outside the reservation changes."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.guests import FAST
from warmboot.crash_figures import CaptureFigures, DumpFigures, ReserveFigures
from warmboot.debian import kernel
from warmboot.errors import ExitStatus
from warmboot.machines.console import ConsoleReader
from warmboot.memmap import Facts
from warmboot.rehearsal.arch import of
from warmboot.rehearsal.capture import model_computer
from warmboot.rehearsal.capture.model_computer import ModelComputer
from warmboot.rehearsal.capture.model_way import crash_on_the_model
from warmboot.rehearsal.capture.options import CrashOptions
from warmboot.stages import Outcome

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]

MIB = 1 << 20
MARKS = of("x86_64").crash_marks


def test_every_byte_is_in_the_dump_and_in_memory_as_before_the_jump(tmp_path: Path) -> None:
    save = tmp_path / "vmcore"
    options = CrashOptions(
        kernel("7.2"),
        crashkernel="160M",
        memory=384 * MIB,
        capture_append=FAST,
        save=save,
        console=tmp_path / "console",
    )
    result = crash_on_the_model(options)
    assert result.exit_status is ExitStatus.DONE, (result, (tmp_path / "console").read_text()[-2000:])
    dump, [reserved] = result.figures(DumpFigures), result.figures(ReserveFigures).reserved
    assert reserved.size == 160 * MIB
    assert dump.comparable is not None
    assert dump.comparable == dump.compared == dump.ram > 200 * MIB
    assert dump.message
    assert dump.pattern_at
    assert [each.panicked for each in dump.processors] == [True, False]
    assert all({name: each.registers[name] for name in MARKS} == MARKS for each in dump.processors)
    assert save.stat().st_size == dump.bytes
    need = result.figures(CaptureFigures).need
    assert need is not None
    assert need.peak + need.spare == reserved.size


def test_a_kernel_that_does_not_fit_is_refused_before_anything_starts() -> None:
    result = crash_on_the_model(CrashOptions(kernel("7.2"), crashkernel="32M", memory=256 * MIB))
    assert result.stages[-1].name == "load"
    assert result.stages[-1].outcome is Outcome.REFUSED
    assert result.exit_status is ExitStatus.REFUSED


class LateReader(ConsoleReader):
    """One that needs a while to end."""

    def _read(self) -> None:
        super()._read()
        time.sleep(0.5)


def test_what_reads_its_port_has_ended_before_the_port_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed port would be an exception in its thread."""
    monkeypatch.setattr(model_computer, "ConsoleReader", LateReader)
    with ExitStack() as stack:
        computer = ModelComputer(Facts.of_pc(256 * MIB), 1, (), None, stack)
        reader = computer._port._thread
        assert reader.is_alive()
    assert not reader.is_alive()

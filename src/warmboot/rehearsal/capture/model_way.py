"""A crash on the model: crash_kexec as Linux does it, then QEMU goes on with the same memory.

There is no first kernel that runs: its memory is filled with what a dump must hold, and with pages that are each
different, so that a byte that changes on the way shows.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace

from warmboot.command_line import parse
from warmboot.crash_figures import CaptureFigures, CrashFigures, CrashLoadFigures, ReserveFigures
from warmboot.errors import InputError
from warmboot.files.anonymous import new_file
from warmboot.images import identify, map_file
from warmboot.images.figures import image_figures
from warmboot.machines.arch import DEFAULT
from warmboot.machines.machine import Machine
from warmboot.memmap import Facts, Range
from warmboot.memmap.crashkernel import parse_crashkernel, with_crash_kernel, without_reservation
from warmboot.memmap.ranges import subtract
from warmboot.placement import PlaceOptions, place
from warmboot.rehearsal.arch import of
from warmboot.rehearsal.capture.companion import HOME, Marks, capture_layer
from warmboot.rehearsal.capture.compare import Compared, copied, fill, with_comparison
from warmboot.rehearsal.capture.found import SavedDump
from warmboot.rehearsal.capture.model_computer import ModelComputer
from warmboot.rehearsal.capture.need import need_figures
from warmboot.rehearsal.capture.options import CrashOptions
from warmboot.rehearsal.capture.room import DumpDisk
from warmboot.rehearsal.capture.verdict import TOO_SMALL, capture_failure, conclude, dump_problem
from warmboot.rehearsal.capture.watch import CrashWatch
from warmboot.rehearsal.crash import crash_dump
from warmboot.stages import Observer, Outcome, Result, Silent, Stages

__all__ = ["crash_on_the_model"]

_SILENT = Silent()
_LINE = f"nr_cpus=1 reset_devices console=ttyS0 panic=-1 rdinit=/{HOME}/init"
_DEATH = "Kernel panic - not syncing: rehearsed on the model"
_END = 20.0
_PROCESS = 1


def crash_on_the_model(
    options: CrashOptions, observer: Observer = _SILENT, *, facts: Facts | None = None, limit: int | None = None
) -> Result:
    """Reserve, load, crash, capture, look into the dump. Raises InputError for unusable input.

    On the machine of `facts`, or a PC as `options` ask for. At most `limit` bytes are saved; the dump is then not
    looked into, nor where an initrd of the user's saves it.
    """
    result = Result()
    with ExitStack() as stack:
        run = _Run(options, observer, result, stack, facts, limit)
        stages = [run.inspect, run.reserve, run.load, run.crash, run.capture]
        if not result.passes(stages if limit is not None or options.capture_initrds else [*stages, run.dump]):
            return result
    conclude(result, run.vmcore if options.capture_initrds else None)
    return result


class _Run:
    """The state that stages hand on to one another."""

    def __init__(
        self,
        options: CrashOptions,
        observer: Observer,
        result: Result,
        stack: ExitStack,
        facts: Facts | None,
        limit: int | None,
    ) -> None:
        self._wanted = parse_crashkernel(options.crashkernel)
        self._options, self._observer, self._stack, self._limit = options, observer, stack, limit
        self._stages = Stages(result, observer)
        self._like = facts is not None
        given = without_reservation(facts) if facts else Facts.of_pc(options.memory, cpus=options.cpus)
        self._given = replace(given, efi=options.firmware is not None) if facts is None else given
        self._marks = Marks()
        companion = capture_layer(DEFAULT, beside=bool(options.capture_initrds), limit=limit)
        self._companion = len(companion)
        self._initrds = [*(map_file(each, "initrd") for each in options.capture_initrds), memoryview(companion)]
        self._disk = DumpDisk(sum(each.size for each in given.system_ram), options.save, stack)
        self._line = str(parse(_LINE).with_parameters(options.capture_append))
        self._before = -1
        self._computer: ModelComputer
        self._machine: Machine
        self._watch: CrashWatch

    def inspect(self) -> None:
        with self._stages.stage("inspect") as stage:
            self._image = identify(self._options.captured_by)
            stage.figures = image_figures(self._image)

    def reserve(self) -> None:
        options = self._options
        with self._stages.stage("reserve") as stage:
            began = time.monotonic()
            self._computer = ModelComputer(
                self._given, options.cpus, self._disk.options(), options.console, self._stack
            )
            facts = with_crash_kernel(self._computer.facts, [self._wanted])
            if not facts.crash_kernel:
                raise InputError(
                    f"crashkernel={options.crashkernel} reserves nothing on this machine", hint="such as 256M"
                )
            self._facts = facts
            self._machine = self._computer.machine(facts)
            stage.figures = ReserveFigures(
                machine=self._computer.description,
                release=facts.release,
                processors=options.cpus,
                crashkernel=options.crashkernel,
                reserved=tuple(facts.crash_kernel),
                seconds=time.monotonic() - began,
                differs_from_facts=self._computer.differs if self._like else (),
                ram=tuple(facts.system_ram),
            )

    def load(self) -> None:
        with self._stages.stage("load") as stage:
            dump = crash_dump(self._facts)
            kernel = self._machine.kernel
            kernel.crash_notes, kernel.vmcoreinfo_note = dump.facts.notes, dump.facts.vmcoreinfo
            taken = [*dump.facts.notes, *([dump.facts.vmcoreinfo] if dump.facts.vmcoreinfo else [])]
            words = f"{_DEATH}\n{self._marks.message}\n".encode()
            fill(self._machine.memory, subtract(self._facts.allocatable, taken), [self._marks.pattern, words])
            placement = place(
                self._image,
                self._facts,
                PlaceOptions(
                    initrds=self._initrds,
                    command_line=self._line,
                    firmware=self._computer.firmware,
                    crash=dump,
                    progress=lambda done, total: self._observer.progress("load", done, total),
                ),
            )
            kernel.kexec_load(placement.request)
            stage.figures = CrashLoadFigures(
                call="kexec_load",
                kernel=str(self._options.captured_by),
                kernel_bytes=self._options.captured_by.stat().st_size,
                initrd_bytes=self._packed,
                companion_bytes=self._companion,
                command_line=placement.command_line,
            )
        if stage.outcome is Outcome.REFUSED:
            stage.hint = TOO_SMALL

    def crash(self) -> None:
        with self._stages.stage("crash") as stage:
            arch = of(self._facts.machine)
            text, _ = arch.kernel_text
            registers = dict(arch.crash_marks)
            notes = [
                arch.pack_prstatus(_PROCESS + cpu, arch.with_pointers(registers, text + 16 * cpu, arch.direct_map))
                for cpu in range(len(self._machine.kernel.crash_notes))
            ]
            state = self._machine.kernel.crash_kexec(notes)
            assert state is not None
            if self._limit is None:
                self._before = new_file("warmboot-before")
                self._stack.callback(os.close, self._before)
                copied(self._machine.memory.fd, self._before)
            released = self._computer.release(state)
            self._deadline = released + self._options.timeout
            self._watch = CrashWatch(
                self._computer, self._observer.console, crashed_at=released, until=self._options.until
            )
            stage.figures = CrashFigures("crash_kexec of the model", _DEATH, _PROCESS)

    def capture(self) -> None:
        with self._stages.stage("capture") as stage:
            watch, heard, ours = self._watch, self._watch.heard, not self._options.capture_initrds
            watch.follow(self._is_done, self._deadline)
            if heard.captured_at is not None and heard.crash_at is not None:
                stage.figures = CaptureFigures(
                    release=heard.capture_release or "",
                    first_line_seconds=None if watch.first_line_at is None else watch.first_line_at - heard.crash_at,
                    user_space_seconds=heard.captured_at - heard.crash_at,
                    saved_seconds=None if heard.saved_at is None else heard.saved_at - heard.crash_at,
                    need=need_figures(heard.memory, self._reserved, self._packed),
                )
            capture_failure(stage, watch, self._options, ours=ours, reserved=self._reserved)

    def dump(self) -> None:
        with self._stages.stage("dump") as stage:
            size = self._watch.heard.vmcore or 0
            self._watch.follow(lambda: False, time.monotonic() + _END)
            self._computer.close()
            with SavedDump(self._disk.path, DEFAULT, size) as dump:
                figures = dump.figures(self._marks, _DEATH, _PROCESS, self._options.save)
                # The capture kernel starts its processors in the lowest RAM, which purgatory has saved: there the dump
                # counts alone. Through the stub's room the processor was handed over.
                low = crash_dump(self._facts).facts.low or Range(0, 0)
                compared = Compared(self._machine.memory, self._before, dump)
                ram = subtract(self._facts.system_ram, [*self._facts.crash_kernel, self._computer.stub_room])
                for each in ram:
                    compared.add(each, in_memory=not each.overlaps(low))
            stage.figures = with_comparison(figures, compared, self._watch.efi_tables)
            self._disk.keep(size)
            dump_problem(stage, self._marks)

    @property
    def vmcore(self) -> int | None:
        """Bytes of /proc/vmcore."""
        return self._watch.heard.vmcore

    @property
    def _reserved(self) -> int:
        return sum(each.size for each in self._facts.crash_kernel)

    @property
    def _packed(self) -> int:
        return sum(each.nbytes for each in self._initrds)

    def _is_done(self) -> bool:
        watch, heard = self._watch, self._watch.heard
        if watch.lost or heard.vmcore == 0:
            return True
        if self._options.capture_initrds:
            return watch.reached_at is not None if self._options.until else watch.settled()
        return heard.saved is not None

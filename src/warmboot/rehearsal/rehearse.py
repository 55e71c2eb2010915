"""A rehearsal: load a kernel on a machine like that one, hand over to it, and boot it, before a real one is risked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from warmboot.errors import ExitStatus, InputError, MissingToolError, RefusedError
from warmboot.figures import (
    BootFigures,
    HandOverFigures,
    ModelLoadFigures,
    PermitFigures,
    RehearsalPlaceFigures,
    digest_figures,
    segment_figures,
)
from warmboot.images import Image, identify, map_file
from warmboot.images.figures import image_figures
from warmboot.kernel import KexecError, Rule
from warmboot.machines.machine import Machine
from warmboot.machines.qemu import QemuMachine
from warmboot.memmap import Facts
from warmboot.placement import Placement, linux_command_line, place
from warmboot.rehearsal.adaptation import as_in_qemu, firmware_s_part, seen_on_serial
from warmboot.rehearsal.boot_watch import BootWatch
from warmboot.rehearsal.handover import HandOver, hand_over
from warmboot.stages import Observer, Outcome, Result, Stages

__all__ = ["Options", "rehearse"]

# Images up to this many bytes of memory are handed over in this process in less time than a kernel takes to boot:
# on a twin of the machine, while QEMU is busy with the first. Larger ones are handed over before QEMU goes on.
_TWIN_LIMIT = 160 << 20
# Bytes of digest that the processor in this process computes in about two seconds.
_DIGEST_LIMIT = 96 << 20
_FIRMWARE_PATIENCE = 60.0  # seconds
_ASSUMED = ("the caller is root", "no security module or IMA policy forbids it")


@dataclass(frozen=True, slots=True)
class Options:
    """What to rehearse, on which machine. Times are seconds; `console` is where the console is written to."""

    kernel: Path
    facts: Facts
    initrds: Sequence[Path] = ()
    command_line: str = ""
    cpus: int = 2
    boot: bool = True
    until: str | None = None
    timeout: float = 120.0
    console: Path | None = None


def rehearse(options: Options, observer: Observer) -> Result:
    """Go through all stages, stopping at the first that does not pass. Raises InputError for unusable input."""
    result = Result()
    with ExitStack() as stack:
        run = _Run(options, observer, result, stack)
        for each in (run.inspect, run.place, run.load, run.hand_over, run.boot):
            each()
            last = result.stages[-1]
            if last.outcome in (Outcome.REFUSED, Outcome.FAILED):
                result.exit_status = ExitStatus.REFUSED
                result.verdict = f"{last.name} {last.outcome}: {last.problem}"
                result.hint = last.hint
                return result
    _conclude(result)
    return result


def _conclude(result: Result) -> None:
    boot = result.stages[-1]
    if boot.outcome is Outcome.PASSED:
        figures = result.figures(BootFigures)
        result.verdict = f"it loads, and it boots: {figures.reached} {figures.seconds:.1f} s after the hand-over"
        return
    result.verdict = f"it loads, and the new kernel's entry point is reached; boot not tried: {boot.problem}"
    result.hint = boot.hint
    if boot.hint:  # it was asked for, and something is missing
        result.exit_status = ExitStatus.REFUSED


class _Run:
    """The state that stages hand on to one another."""

    def __init__(self, options: Options, observer: Observer, result: Result, stack: ExitStack) -> None:
        self._options = options
        self._observer = observer
        self._stages = Stages(result, observer)
        self._stack = stack
        self._facts, self._differs = as_in_qemu(options.facts, options.cpus) if options.boot else (options.facts, [])
        self._machine = stack.enter_context(Machine(self._facts))
        self._differs += firmware_s_part(self._facts, self._machine)
        self._image: Image
        self._placement: Placement
        self._qemu: QemuMachine | None = None
        self._qemu_missing: MissingToolError | None = None
        self._released = 0.0  # when the computer in QEMU was handed over, in seconds of time.monotonic()

    def inspect(self) -> None:
        with self._stages.stage("inspect") as stage:
            image = self._image = identify(self._options.kernel)
            stage.figures = image_figures(image)

    def place(self) -> None:
        options = self._options
        initrds = [map_file(path, "initrd") for path in options.initrds]
        line, added = options.command_line, ""
        linux = linux_command_line(self._image, options.command_line)
        if options.boot and linux is not None:
            line, added = seen_on_serial(*linux)
        with self._stages.stage("place") as stage:
            if options.boot:
                self._power_on()
            placement = self._placement = place(
                self._image,
                self._machine.facts,
                initrds=initrds,
                command_line=line,
                progress=lambda done, total: self._observer.progress("place", done, total),
            )
            self._stages.segments = placement.request.segments
            stage.figures = RehearsalPlaceFigures(
                call="kexec_load",
                why="the default",
                command_line=line,
                segments=segment_figures(placement.request.segments),
                entry=placement.request.entry,
                kernel_entry=placement.kernel_entry,
                boot_params=placement.boot_params,
                digests=digest_figures(placement),
                command_line_added=added,
                differs_from_facts=tuple(self._differs),
            )

    def load(self) -> None:
        kernel, request = self._machine.kernel, self._placement.request
        passed: list[str] = []
        refused: KexecError | None = None

        def on_check(rule: Rule) -> None:
            passed.append(rule.name)
            self._observer.check(rule)

        kernel.on_check = on_check
        kernel.on_progress = _Sum(lambda done: self._observer.progress("load", done, request.memsz))
        began = time.monotonic()
        with self._stages.stage("permit") as stage:
            try:
                kernel.kexec_load(request)
            except KexecError as error:
                refused = error
                raise
            finally:
                stage.figures = PermitFigures(kernel.profile.name, tuple(passed), assumed=_ASSUMED)
        if refused is not None:
            return
        kernel.on_check = kernel.on_progress = None
        with self._stages.stage("load") as stage:
            image = kernel.kexec_image
            assert image is not None
            stage.figures = ModelLoadFigures(
                bytes=request.bufsz,
                memory=request.memsz,
                page_list_entries=image.nr_entries,
                pages=image.nr_pages,
                control_pages=sum(map(len, image.control_pages)),
                seconds=time.monotonic() - began,
            )

    def hand_over(self) -> None:
        memsz, digest = self._placement.request.memsz, self._placement.digest_size
        with self._stages.stage("hand over") as stage:
            booting = self._qemu is not None
            with ExitStack() as stack:
                machine = self._machine
                if booting and memsz <= _TWIN_LIMIT:
                    # QEMU goes on with the machine itself, and does the whole hand-over once more.
                    self._release()
                    machine = stack.enter_context(Machine(self._facts))
                    machine.kernel.kexec_load(self._placement.request)
                done = hand_over(
                    machine,
                    self._placement,
                    check_digest=not booting or digest <= _DIGEST_LIMIT,
                    progress=lambda done: self._observer.progress("hand over", done, memsz),
                )
                stage.figures = _figures(done, self._placement)
            if not done.reached:
                stage.outcome, stage.problem, stage.hint = Outcome.FAILED, done.problem.splitlines()[0], done.hint
            elif booting and not self._released:
                self._restore_purgatory()
                self._release()

    def boot(self) -> None:
        with self._stages.stage("boot") as stage:
            if self._qemu is None:
                missing = self._qemu_missing
                stage.outcome = Outcome.NOT_TRIED
                stage.problem = str(missing) if missing else "--no-boot"
                stage.hint = missing.hint if missing else ""
                return
            initrd = any(each.name == "initrd" for each in self._placement.request.segments)
            watch = BootWatch(self._qemu, until=self._options.until, initrd=initrd)
            watch.run(self._options.timeout, self._observer.console)
            stage.figures = watch.figures(self._qemu.description, watch.ended - self._released)
            if not watch.passed:
                stage.outcome, stage.problem, stage.hint = Outcome.FAILED, watch.problem, watch.hint

    def _power_on(self) -> None:
        """Start the computer in QEMU, so that its firmware works while the image is placed and loaded."""
        machine = self._machine
        qemu = QemuMachine(
            memory_fd=machine.memory.fd,
            low=machine.low,
            high=machine.high,
            cpus=self._options.cpus,
            console=self._open_console(),
        )
        try:
            qemu.start()
        except MissingToolError as error:
            self._qemu_missing = error
            return
        except OSError as error:
            raise RefusedError(
                f"QEMU cannot be started: {error.strerror}", hint="name a qemu-system-x86_64 by WARMBOOT_QEMU"
            ) from None
        self._qemu = self._stack.enter_context(qemu)

    def _open_console(self) -> BinaryIO | None:
        path = self._options.console
        if path is None:
            return None
        try:
            return self._stack.enter_context(path.open("wb"))
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}", hint="name another file") from None

    def _restore_purgatory(self) -> None:
        """Undo what handing over changed: it was told to check nothing, and may lie where it was loaded."""
        for each in self._placement.request.segments:
            if each.mem == self._placement.request.entry:
                self._machine.memory.copy_from(each.mem, each.buf, 0, each.bufsz)

    def _release(self) -> None:
        assert self._qemu is not None
        state = self._machine.kernel.reboot()
        self._qemu.release(state, rsdp_copy=self._machine.facts.rsdp, timeout=_FIRMWARE_PATIENCE)
        self._released = time.monotonic()


class _Sum:
    """Adds up what a callback is told."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._done = 0

    def __call__(self, size: int) -> None:
        self._done += size
        self._tell(self._done)


def _figures(done: HandOver, placement: Placement) -> HandOverFigures:
    return HandOverFigures(
        executed="in this process",
        digest="verified in this process" if done.digest_checked else "left to QEMU's start",
        digest_bytes=placement.digest_size,
        relocation_seconds=done.relocation_seconds,
        purgatory_seconds=done.purgatory_seconds,
        registers=done.state.as_dict(),
        serial=done.serial,
    )

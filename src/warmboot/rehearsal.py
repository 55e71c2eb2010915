"""A rehearsal: load a kernel on a machine like that one, hand over to it, and boot it, before a real one is risked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from warmboot.adaptation import as_in_qemu, firmware_s_part, seen_on_serial
from warmboot.boot import BootWatch
from warmboot.errors import ExitStatus, InputError, MissingToolError, RefusedError, WarmbootError
from warmboot.handover import HandOver, hand_over
from warmboot.images import BzImage, identify, map_file
from warmboot.kernel import KexecError, Rule
from warmboot.machines.machine import Machine
from warmboot.machines.qemu import QemuMachine
from warmboot.memmap import Facts
from warmboot.placement import Placement, place

__all__ = ["Observer", "Options", "Outcome", "Rehearsal", "Stage", "image_figures", "rehearse"]

# Images up to this many bytes of memory are handed over in this process in less time than a kernel takes to boot:
# on a twin of the machine, while QEMU is busy with the first. Larger ones are handed over before QEMU goes on.
_TWIN_LIMIT = 160 << 20
# Bytes of digest that the processor in this process computes in about two seconds.
_DIGEST_LIMIT = 96 << 20
_FIRMWARE_PATIENCE = 60.0  # seconds


class Outcome(StrEnum):
    """How a stage ended."""

    PASSED = "passed"
    REFUSED = "refused"
    FAILED = "failed"
    NOT_TRIED = "not tried"


@dataclass(slots=True)
class Stage:
    """One stage, with the figures that it is about; `problem` and `hint` say why it did not pass."""

    name: str
    outcome: Outcome = Outcome.PASSED
    seconds: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    hint: str = ""


@dataclass(slots=True)
class Rehearsal:
    """All stages that were come to, and the verdict: one sentence."""

    stages: list[Stage] = field(default_factory=list)
    verdict: str = ""
    hint: str = ""
    exit_status: ExitStatus = ExitStatus.DONE

    def stage(self, name: str) -> Stage | None:
        """The stage of that name, if it was come to."""
        return next((each for each in self.stages if each.name == name), None)


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


class Observer(Protocol):
    """Whoever wants to see a rehearsal as it happens."""

    def begins(self, name: str) -> None:
        """A stage begins."""

    def progress(self, name: str, done: int, total: int) -> None:
        """`done` of `total` bytes of a stage are done."""

    def check(self, rule: Rule) -> None:
        """The kernel made a check, and the request passed it."""

    def console(self, text: str) -> None:
        """A line of the booting kernel."""

    def ends(self, stage: Stage) -> None:
        """A stage ends."""


def rehearse(options: Options, observer: Observer) -> Rehearsal:
    """Go through all stages, stopping at the first that does not pass. Raises InputError for unusable input."""
    rehearsal = Rehearsal()
    with ExitStack() as stack:
        run = _Run(options, observer, rehearsal, stack)
        for each in (run.inspect, run.place, run.load, run.hand_over, run.boot):
            each()
            last = rehearsal.stages[-1]
            if last.outcome in (Outcome.REFUSED, Outcome.FAILED):
                rehearsal.exit_status = ExitStatus.REFUSED
                rehearsal.verdict = f"{last.name} {last.outcome}: {last.problem}"
                rehearsal.hint = last.hint
                return rehearsal
    _conclude(rehearsal)
    return rehearsal


def _conclude(rehearsal: Rehearsal) -> None:
    boot = rehearsal.stages[-1]
    if boot.outcome is Outcome.PASSED:
        rehearsal.verdict = (
            f"it loads, and it boots: {boot.figures['reached']} {boot.figures['seconds']:.1f} s after the hand-over"
        )
        return
    rehearsal.verdict = f"it loads, and the new kernel's entry point is reached; boot not tried: {boot.problem}"
    rehearsal.hint = boot.hint
    if boot.hint:  # it was asked for, and something is missing
        rehearsal.exit_status = ExitStatus.REFUSED


class _Run:
    """The state that stages hand on to one another."""

    def __init__(self, options: Options, observer: Observer, rehearsal: Rehearsal, stack: ExitStack) -> None:
        self._options = options
        self._observer = observer
        self._rehearsal = rehearsal
        self._stack = stack
        self._facts, self._differs = as_in_qemu(options.facts, options.cpus) if options.boot else (options.facts, [])
        self._machine = stack.enter_context(Machine(self._facts))
        self._differs += firmware_s_part(self._facts, self._machine)
        self._image: BzImage
        self._placement: Placement
        self._qemu: QemuMachine | None = None
        self._qemu_missing: MissingToolError | None = None
        self._released = 0.0  # when the computer in QEMU was handed over, in seconds of time.monotonic()

    @contextmanager
    def _stage(self, name: str) -> Iterator[Stage]:
        """A stage that ends with this block; a refusal in it is the stage's outcome."""
        stage = Stage(name)
        self._observer.begins(name)
        began = time.monotonic()
        try:
            yield stage
        except WarmbootError as error:
            if error.exit_status is ExitStatus.USAGE:
                raise
            stage.outcome, stage.problem, stage.hint = Outcome.REFUSED, str(error), error.hint
            if isinstance(error, KexecError):
                stage.problem = self._with_name(error)
                stage.figures |= {"errno": error.errno_name, "rule": error.rule.name, "segment": error.segment}
        stage.seconds = time.monotonic() - began
        self._rehearsal.stages.append(stage)
        self._observer.ends(stage)

    def _with_name(self, error: KexecError) -> str:
        """The refusal, with what the segment is: the kernel knows segments by number alone."""
        if error.segment is None:
            return str(error)
        number, name = f"segment {error.segment}", self._placement.request.segments[error.segment].name
        return str(error).replace(number, f"{number} ({name})", 1)

    def inspect(self) -> None:
        with self._stage("inspect") as stage:
            image = self._image = identify(self._options.kernel)
            stage.figures = image_figures(image)

    def place(self) -> None:
        options = self._options
        initrds = [map_file(path, "initrd") for path in options.initrds]
        line, added = options.command_line, ""
        if options.boot:
            line, added = seen_on_serial(options.command_line, self._image.cmdline_size)
        with self._stage("place") as stage:
            if options.boot:
                self._power_on()
            placement = self._placement = place(self._image, self._machine.facts, initrds=initrds, command_line=line)
            stage.figures = {
                "segments": [
                    {"name": each.name, "mem": each.mem, "memsz": each.memsz, "bufsz": each.bufsz}
                    for each in placement.request.segments
                ],
                "entry": placement.request.entry,
                "kernel_entry": placement.kernel_entry,
                "boot_params": placement.boot_params,
                "sha256": placement.sha256.hex(),
                "command_line": line,
                "command_line_added": added,
                "differs_from_facts": self._differs,
            }

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
        with self._stage("permit") as stage:
            try:
                kernel.kexec_load(request)
            except KexecError as error:
                refused = error
                raise
            finally:
                stage.figures |= {"profile": kernel.profile.name, "passed": passed}
        if refused is not None:
            return
        kernel.on_check = kernel.on_progress = None
        with self._stage("load") as stage:
            image = kernel.kexec_image
            assert image is not None
            stage.figures = {
                "bytes": request.bufsz,
                "memory": request.memsz,
                "page_list_entries": image.nr_entries,
                "pages": image.nr_pages,
                "control_pages": sum(1 << order for _, order in image.control_pages),
                "seconds": time.monotonic() - began,
            }

    def hand_over(self) -> None:
        memsz, digest = self._placement.request.memsz, self._placement.digest_size
        with self._stage("hand over") as stage:
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
                stage.figures["serial"] = done.serial
            elif booting and not self._released:
                self._restore_purgatory()
                self._release()

    def boot(self) -> None:
        with self._stage("boot") as stage:
            if self._qemu is None:
                missing = self._qemu_missing
                stage.outcome = Outcome.NOT_TRIED
                stage.problem = str(missing) if missing else "--no-boot"
                stage.hint = missing.hint if missing else ""
                return
            watch = BootWatch(self._qemu, until=self._options.until)
            watch.run(self._options.timeout, self._observer.console)
            seconds = watch.ended - self._released
            stage.figures = {"machine": self._qemu.description, "seconds": seconds, **watch.figures}
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
        """Undo what running it changed: it counts its regions down, and may lie where it was loaded."""
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


def image_figures(image: BzImage) -> dict[str, Any]:
    """What there is to say of a kernel file; sizes in bytes, addresses physical."""
    return {
        "file": image.name,
        "format": "bzImage",
        "version": image.version,
        "protocol": image.protocol_text,
        "compression": image.compression,
        "bytes": image.kernel.nbytes,
        "init_size": image.init_size,
        "pref_address": image.pref_address,
        "kernel_alignment": image.kernel_alignment,
        "relocatable": image.relocatable,
        "above_4g": image.above_4g,
        "cmdline_size": image.cmdline_size,
    }


def _figures(done: HandOver, placement: Placement) -> dict[str, Any]:
    return {
        "executed": "in this process",
        "digest": "verified in this process" if done.digest_checked else "left to QEMU's start",
        "digest_bytes": placement.digest_size,
        "relocation_seconds": done.relocation_seconds,
        "purgatory_seconds": done.purgatory_seconds,
        "registers": done.state.as_dict(),
    }

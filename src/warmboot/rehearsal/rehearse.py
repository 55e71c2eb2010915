"""A rehearsal: load a kernel on a machine like that one, hand over to it, and boot it, before a real one is risked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from warmboot.errors import ExitStatus, MissingToolError, RefusedError, WarmbootError
from warmboot.figures import (
    BootFigures,
    HandOverFigures,
    ModelLoadFigures,
    PermitFigures,
    RehearsalPlaceFigures,
    digest_figures,
    segment_figures,
)
from warmboot.files.steady import check_unchanged
from warmboot.images import Image, identify, map_file
from warmboot.images.figures import image_figures
from warmboot.images.unwrap import image_files, unwrapped
from warmboot.kernel import Kernel, KexecError, Rule
from warmboot.kernel.call import Call, chosen
from warmboot.kernel.permit import permit
from warmboot.machines.arch import Board, of
from warmboot.machines.fit import ram_that_fits
from warmboot.machines.machine import Machine
from warmboot.machines.qemu import QemuMachine
from warmboot.memmap import Facts
from warmboot.placement import Placement, linux_command_line, place
from warmboot.placement.modules import read_module
from warmboot.rehearsal.adaptation import seen_on_serial
from warmboot.rehearsal.boot_watch import BootWatch
from warmboot.rehearsal.computer import power_on, release
from warmboot.rehearsal.crash import crash_dump
from warmboot.rehearsal.handover import HandOver, hand_over
from warmboot.rehearsal.options import Options
from warmboot.rehearsal.profile import profile_named
from warmboot.stages import Observer, Outcome, Result, Silent, Stages
from warmboot.uapi import KexecFileFlags, KexecFileRequest, LoadRequest

__all__ = ["rehearse"]

# Images up to this many bytes of memory are handed over in this process in less time than a kernel takes to boot:
# on a twin of the machine, while QEMU is busy with the first. Larger ones are handed over before QEMU goes on.
_TWIN_LIMIT = 160 << 20
# Bytes of digest that the processor in this process computes in about two seconds.
_DIGEST_LIMIT = 96 << 20
_ASSUMED = ("the caller is root", "no security module or IMA policy forbids it")
_PLACED_HERE = "the kernel would place the image by itself: here it lies where our own loader puts it"
_NOT_MADE = ("whether the running kernel trusts the file's signature",)
_CPUS = 2  # enough to see that a second one starts
_SILENT = Silent()


def rehearse(options: Options, observer: Observer = _SILENT) -> Result:
    """Go through all stages, stopping at the first that does not pass. Raises InputError for unusable input."""
    result = Result()
    with ExitStack() as stack:
        run = _Run(options, observer, result, stack)
        stages = [run.inspect, run.place, run.permit, run.load]
        for each in stages if options.panic else [*stages, run.hand_over, run.boot]:
            each()
            last = result.stages[-1]
            if last.outcome in (Outcome.REFUSED, Outcome.FAILED):
                result.stop(last)
                return result
    _conclude(result, panic=options.panic)
    return result


def _conclude(result: Result, *, panic: bool) -> None:
    last = result.stages[-1]
    if panic:
        result.verdict = "it loads, as the crash kernel; what a crash then starts is not rehearsed"
        return
    if last.outcome is Outcome.PASSED:
        figures = result.figures(BootFigures)
        result.verdict = f"it loads, and it boots: {figures.reached} {figures.seconds:.1f} s after the hand-over"
        return
    result.verdict = f"it loads, and the new kernel's entry point is reached; boot not tried: {last.problem}"
    result.hint = last.hint
    if last.hint:  # it was asked for, and something is missing
        result.exit_status = ExitStatus.NOT_TRIED


class _Run:
    """The state that stages hand on to one another."""

    def __init__(self, options: Options, observer: Observer, result: Result, stack: ExitStack) -> None:
        self._options = options
        self._observer = observer
        self._stages = Stages(result, observer)
        self._stack = stack
        self._profile = profile_named(options.profile, options.facts)
        self._call, self._why = chosen(options.call, options.facts)
        if self._call is Call.FILE:
            self._why += f"; {_PLACED_HERE}"
        self._initrds: Sequence[memoryview] = [map_file(path, "initrd") for path in options.initrds]
        self._modules = [read_module(each) for each in options.modules]
        self._not_tried = RefusedError("--no-boot", hint="")  # why there is no boot, where there is none
        self._board = self._board_for(options) if options.boot and not options.panic else None
        self._machine = stack.enter_context(self._new_machine())
        self._image: Image
        self._image_files: tuple[str, ...]
        self._line = ""  # the command line, without what is added to see the boot
        self._placement: Placement
        self._qemu: QemuMachine | None = None
        self._released = 0.0  # when the computer in QEMU was handed over, in seconds of time.monotonic()

    def inspect(self) -> None:
        with self._stages.stage("inspect") as stage:
            image = identify(self._options.kernel)
            stage.figures = image_figures(image)
            self._image_files = image_files(image)
            self._image, self._initrds, self._line = unwrapped(image, self._initrds, self._options.command_line.line)

    def place(self) -> None:
        with self._stages.stage("place") as stage:
            if self._board is not None:
                self._power_on(self._board)
            line, added, placement = self._place()
            self._placement = placement
            self._stages.segments = placement.request.segments
            stage.figures = RehearsalPlaceFigures(
                call=self._call,
                why=self._why,
                command_line=placement.command_line or line,
                segments=segment_figures(placement.request.segments),
                entry=placement.request.entry,
                kernel_entry=placement.kernel_entry,
                boot_params=placement.boot_params,
                digests=digest_figures(placement),
                command_line_added=added,
                differs_from_facts=self._board.differs if self._board else (),
            )

    def permit(self) -> None:
        """Ask the model of the running kernel, on the machine as the facts have it."""
        passed: list[str] = []

        def on_check(rule: Rule) -> None:
            passed.append(rule.name)
            self._observer.check(rule)

        with self._stages.stage("permit") as stage, Machine(self._options.facts, profile=self._profile) as machine:
            kernel, by_file = machine.kernel, self._call is Call.FILE
            kernel.on_check = on_check
            try:
                permit(kernel, self._file_request() if by_file else self._placement.request)
            finally:
                stage.figures = PermitFigures(
                    kernel.profile.name, tuple(passed), assumed=_ASSUMED, not_made=_NOT_MADE if by_file else ()
                )

    def load(self) -> None:
        request = self._placement.request
        began = time.monotonic()
        with self._stages.stage("load") as stage:
            kernel = self._loaded()
            image = kernel.kexec_crash_image if self._options.panic else kernel.kexec_image
            assert image is not None
            stage.figures = ModelLoadFigures(
                bytes=request.bufsz,
                memory=request.memsz,
                page_list_entries=image.nr_entries,
                pages=image.nr_pages,
                control_pages=sum(map(len, image.control_pages)),
                seconds=time.monotonic() - began,
            )
            options = self._options
            check_unchanged(
                [*self._image_files, *options.initrds, *(each.partition(" ")[0] for each in options.modules)]
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
                    machine = stack.enter_context(self._new_machine())
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
                stage.outcome = Outcome.NOT_TRIED
                stage.problem, stage.hint = str(self._not_tried), self._not_tried.hint
                return
            watch = BootWatch(self._qemu, until=self._options.until)
            watch.run(self._options.timeout, self._observer.console)
            stage.figures = watch.figures(self._qemu.description, watch.ended - self._released)
            if not watch.passed:
                stage.outcome, stage.problem, stage.hint = Outcome.FAILED, watch.problem, watch.hint
                stage.exit_status = ExitStatus.TIMEOUT if watch.out_of_time else ExitStatus.REFUSED

    def _board_for(self, options: Options) -> Board | None:
        cpus = options.cpus or min(options.facts.cpus, _CPUS)
        try:
            return of(options.facts.machine).board(options.facts, cpus, ram_that_fits())
        except RefusedError as error:
            self._not_tried = error
            return None

    def _new_machine(self) -> Machine:
        """The machine that the image is loaded on; whether it may be, `permit` has said."""
        facts = self._board.facts if self._board else self._options.facts
        facts = replace(
            facts,
            totalram_pages=self._options.facts.totalram_pages,
            lockdown="",
            kexec_load_disabled=False,
            kexec_load_limit_reboot=-1,
            kexec_load_limit_panic=-1,
        )
        return Machine(facts, banks=self._board.computer.banks if self._board else None, profile=self._profile)

    def _power_on(self, board: Board) -> None:
        try:
            self._qemu = power_on(board.computer, self._machine, self._options.console, self._stack)
        except MissingToolError as error:
            self._not_tried = error

    def _place(self) -> tuple[str, str, Placement]:
        """Place the image where it can boot; where only QEMU's RAM is too small for it, without a boot."""
        if self._board is None:
            return self._placed_on(self._options.facts)
        try:
            return self._placed_on(self._board.host)
        except RefusedError as error:
            self._give_up_boot(error)
        return self._placed_on(self._options.facts)

    def _loaded(self) -> Kernel:
        """The kernel with the image loaded; where only QEMU's RAM is too small for it, one that is not booted.

        Raises KexecError.
        """
        try:
            self._load()
        except KexecError as error:
            if self._board is None:
                raise
            self._give_up_boot(error)
            self._load()
        return self._machine.kernel

    def _load(self) -> None:
        kernel, request = self._machine.kernel, self._placement.request
        kernel.on_progress = _Sum(lambda done: self._observer.progress("load", done, request.memsz))
        kernel.kexec_load(request)
        kernel.on_progress = None

    def _give_up_boot(self, problem: WarmbootError) -> None:
        """The machine of the facts has room for the image, or so it may be; the one in QEMU has not."""
        if self._qemu is not None:
            self._qemu.close()
        self._not_tried = RefusedError(
            f"the image does not fit the RAM that QEMU can have here: {problem}",
            hint="free memory on this computer, or rehearse a smaller initrd",
        )
        self._qemu = self._board = None
        self._machine = self._stack.enter_context(self._new_machine())

    def _placed_on(self, host: Facts) -> tuple[str, str, Placement]:
        """The command line, what of it was added to see the boot, and the placement. Raises RefusedError."""
        line, added = self._line, ""
        linux = linux_command_line(self._image, line)
        if self._board is not None and linux is not None:
            line, added = seen_on_serial(*linux)
        placement = place(
            self._image,
            host,
            initrds=self._initrds,
            modules=self._modules,
            command_line=line,
            crash=crash_dump(host) if self._options.panic else None,
            progress=lambda done, total: self._observer.progress("place", done, total),
        )
        return line, added, placement

    def _file_request(self) -> KexecFileRequest:
        """What kexec_file_load would be given."""
        flags = KexecFileFlags(0) if self._initrds else KexecFileFlags.NO_INITRAMFS
        if self._options.panic:
            flags |= KexecFileFlags.ON_CRASH
        size = sum(each.nbytes for each in self._initrds)
        return KexecFileRequest(self._image.file, size, os.fsencode(self._line) + b"\0", int(flags))

    def _restore_purgatory(self) -> None:
        """Undo what handing over changed: it was told to check nothing, and may lie where it was loaded."""
        request: LoadRequest = self._placement.request
        for each in request.segments:
            if each.mem == request.entry:
                self._machine.memory.copy_from(each.mem, each.buf, 0, each.bufsz)

    def _release(self) -> None:
        assert self._qemu is not None
        self._released = release(self._qemu, self._machine)


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

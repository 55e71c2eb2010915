"""A crash in a guest: the user's own kernel, booted in QEMU, loads its capture kernel and crashes."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from warmboot.command_line import parse
from warmboot.crash_figures import CaptureFigures, CrashFigures, CrashLoadFigures, ReserveFigures
from warmboot.errors import ExitStatus, InputError, MissingToolError, RefusedError
from warmboot.images import identify, map_file
from warmboot.images.figures import image_figures
from warmboot.machines.arch import DEFAULT
from warmboot.machines.guest import Guest
from warmboot.memmap.crashkernel import parse_crashkernel
from warmboot.rehearsal.arch import of
from warmboot.rehearsal.capture.companion import HOME, Marks, capture_layer, first_layer
from warmboot.rehearsal.capture.compare import with_comparison
from warmboot.rehearsal.capture.found import SavedDump
from warmboot.rehearsal.capture.hurt import hurt
from warmboot.rehearsal.capture.injury import Injury, injury
from warmboot.rehearsal.capture.jump import JUMP, Jump
from warmboot.rehearsal.capture.need import need_figures
from warmboot.rehearsal.capture.options import CrashOptions
from warmboot.rehearsal.capture.room import DumpDisk
from warmboot.rehearsal.capture.verdict import capture_failure, conclude, dump_problem, load_failure
from warmboot.rehearsal.capture.watch import CrashWatch
from warmboot.stages import Observer, Outcome, Result, Silent, Stage, Stages

__all__ = ["crash_in_a_guest"]

_SILENT = Silent()
_WORDS = f"console=ttyS0 panic=-1 rdinit=/{HOME}/init"  # what both kernels are told
_CAPTURE_WORDS = f"nr_cpus=1 reset_devices {_WORDS}"
_RUNS = 3.0  # seconds that the user's own first program gets before the crash
_END = 20.0  # seconds that a machine gets to power off
_LEAST_MEMORY = 128 << 20


def crash_in_a_guest(options: CrashOptions, observer: Observer = _SILENT) -> Result:
    """Boot, load, crash, capture, look into the dump. Raises InputError for unusable input."""
    result = Result()
    with ExitStack() as stack:
        run = _Run(options, observer, result, stack)
        stages = [run.inspect, run.reserve, run.load, run.crash, run.capture]
        if not result.passes(stages if options.capture_initrds else [*stages, run.dump]):
            return result
    conclude(result, run.vmcore if options.capture_initrds else None)
    return result


class _Run:
    """The state that stages hand on to one another."""

    def __init__(self, options: CrashOptions, observer: Observer, result: Result, stack: ExitStack) -> None:
        parse_crashkernel(options.crashkernel)
        if options.memory < _LEAST_MEMORY:
            raise InputError(f"{options.memory >> 20} MiB of memory: too few to crash in", hint="give 512M or more")
        self._options = options
        self._observer = observer
        self._stages = Stages(result, observer)
        self._stack = stack
        self._initrds = [bytes(map_file(each, "initrd")) for each in options.initrds]
        self._capture_initrds = [bytes(map_file(each, "initrd")) for each in options.capture_initrds]
        self._marks = Marks()
        self._injury: Injury = injury(options.by, DEFAULT)
        self._jump = Jump(options.memory, of(DEFAULT), stack)
        self._disk = DumpDisk(options.memory, options.save, stack)
        self._deadline = 0.0
        self._guest: Guest
        self._watch: CrashWatch
        self._capture_line = str(parse(_CAPTURE_WORDS).with_parameters(options.capture_append))

    def inspect(self) -> None:
        with self._stages.stage("inspect") as stage:
            stage.figures = image_figures(identify(self._options.kernel))
            if self._options.capture is not None:
                identify(self._options.capture)

    def reserve(self) -> None:
        options = self._options
        with self._stages.stage("reserve") as stage:
            began = time.monotonic()
            self._deadline = began + options.timeout
            self._start()
            heard = self._watch.heard
            self._watch.follow(lambda: bool(heard.holder), self._deadline)
            if heard.release is None:
                self._silent(stage, "the first kernel did not reach user space")
                return
            stage.figures = ReserveFigures(
                machine=f"{options.cpus} processor{'s' if options.cpus > 1 else ''}, {options.memory >> 20} MiB,"
                f" {'EFI' if options.firmware else 'legacy'} firmware",
                release=heard.release,
                processors=heard.processors,
                crashkernel=options.crashkernel,
                reserved=tuple(sorted(heard.reserved)),
                seconds=heard.up_at - began,
            )
            if not heard.reserved:
                said = f": {self._watch.not_reserved}" if self._watch.not_reserved else ""
                stage.outcome, stage.problem = Outcome.FAILED, f"nothing was reserved{said}"
                stage.hint = "ask for less by --crashkernel, or give the machine more --memory"

    def load(self) -> None:
        with self._stages.stage("load") as stage:
            heard = self._watch.heard
            self._watch.follow(lambda: heard.loaded is not None, self._deadline)
            if heard.loaded is None:
                self._silent(stage, "kexec_file_load did not return")
                return
            stage.figures = CrashLoadFigures(
                call="kexec_file_load",
                kernel=str(self._options.captured_by),
                kernel_bytes=self._options.captured_by.stat().st_size,
                initrd_bytes=self._packed,
                companion_bytes=len(self._companion),
                command_line=self._capture_line,
            )
            if not heard.loaded:
                load_failure(stage, heard.errno or 0, self._reserved, self._options)

    def crash(self) -> None:
        with self._stages.stage("crash") as stage:
            watch, heard = self._watch, self._watch.heard
            if self._options.initrds:  # the user's own first program runs for a while
                watch.follow(lambda: False, min(self._deadline, time.monotonic() + _RUNS))
            watch.follow(lambda: heard.waits, self._deadline)
            if not heard.waits or watch.gone:
                self._silent(stage, "the first kernel did not come so far as to crash")
                return
            hurt(self._guest, self._jump, watch, self._injury, self._deadline)
            watch.follow(lambda: watch.first_line_at is not None or heard.captured_at is not None, self._deadline)
            stage.figures = CrashFigures(self._options.by, watch.death, heard.crash_process)
            if watch.first_line_at is None and heard.captured_at is None:
                self._silent(stage, "the capture kernel did not start" if watch.death else "the kernel did not crash")

    def capture(self) -> None:
        with self._stages.stage("capture") as stage:
            watch, heard = self._watch, self._watch.heard
            ours = not self._capture_initrds
            watch.follow(self._ours_is_done if ours else self._theirs_is_done, self._deadline)
            if heard.captured_at is not None:
                crash_at = heard.crash_at or heard.captured_at
                stage.figures = CaptureFigures(
                    release=heard.capture_release or "",
                    first_line_seconds=None if watch.first_line_at is None else watch.first_line_at - crash_at,
                    user_space_seconds=heard.captured_at - crash_at,
                    saved_seconds=None if heard.saved_at is None else heard.saved_at - crash_at,
                    need=need_figures(heard.memory, self._reserved, self._packed),
                )
            capture_failure(stage, watch, self._options, ours=ours, reserved=self._reserved)
            stage.exit_status = stage.exit_status or (
                ExitStatus.TIMEOUT if stage.outcome is Outcome.FAILED and time.monotonic() >= self._deadline else None
            )

    def dump(self) -> None:
        with self._stages.stage("dump") as stage:
            heard = self._watch.heard
            self._watch.follow(lambda: False, time.monotonic() + _END)
            self._guest.close()
            with SavedDump(self._disk.path, DEFAULT, heard.vmcore or 0) as dump:
                path = self._options.save
                figures = dump.figures(self._marks, self._watch.death, heard.crash_process, path)
                compared = self._jump.compared(dump)
            if compared is not None:
                figures = with_comparison(figures, compared, self._watch.efi_tables)
            stage.figures = figures
            self._disk.keep(heard.vmcore or 0)
            dump_problem(stage, self._marks)

    @property
    def vmcore(self) -> int | None:
        """Bytes of /proc/vmcore."""
        return self._watch.heard.vmcore

    @property
    def _reserved(self) -> int:
        return sum(each.size for each in self._watch.heard.reserved)

    def _start(self) -> None:
        options = self._options
        beside = bool(self._initrds)
        self._companion = capture_layer(DEFAULT, beside=bool(self._capture_initrds))
        initrd = b"".join([*self._capture_initrds, self._companion])
        self._packed = len(initrd)
        layer = first_layer(
            DEFAULT,
            self._marks,
            _content(options.captured_by),
            initrd,
            self._capture_line,
            beside=beside,
            calls=self._injury.calls,
            symbols=filter(None, [JUMP, self._injury.function]),
        )
        own = f"{_WORDS} crashkernel={options.crashkernel} {self._injury.parameters}".strip()
        line = str(parse(options.append).with_parameters(own))
        more = ["-bios", str(options.firmware)] if options.firmware else []
        try:
            self._guest = Guest(
                options.kernel,
                [*self._initrds, layer],
                memory=options.memory,
                command_line=line,
                options=[*self._disk.options(), *more, *self._jump.options],
                fds=self._jump.fds,
                cpus=options.cpus,
                console=self._opened_console(),
            )
        except OSError as error:
            raise MissingToolError(
                f"QEMU cannot be started: {error.strerror}", hint="name one by WARMBOOT_QEMU"
            ) from None
        self._stack.enter_context(self._guest)
        self._jump.started()
        self._watch = CrashWatch(self._guest, self._observer.console, until=options.until)

    def _opened_console(self) -> BinaryIO | None:
        path = self._options.console
        if path is None:
            return None
        try:
            return self._stack.enter_context(path.open("wb"))
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}", hint="name another file") from None

    def _ours_is_done(self) -> bool:
        heard = self._watch.heard
        return heard.saved is not None or bool(self._watch.lost) or heard.vmcore == 0

    def _theirs_is_done(self) -> bool:
        watch = self._watch
        if watch.lost or watch.heard.vmcore == 0:
            return True
        return watch.reached_at is not None if self._options.until else watch.settled()

    def _silent(self, stage: Stage, what: str) -> None:
        """A stage that ended without what it waited for."""
        watch = self._watch
        last = next((each.strip() for each in reversed(watch.last_lines) if each.strip()), "nothing")
        stage.outcome = Outcome.FAILED
        complaints = self._guest.complaints() if watch.gone else []
        how = "the machine ended" if watch.gone else "not in time"
        stage.problem = f"{what}: {how}; last on the console: {complaints[-1] if complaints else last}"
        stage.hint = "look at the whole console by --console FILE" if watch.gone else "allow more by --timeout"
        stage.exit_status = ExitStatus.REFUSED if watch.gone else ExitStatus.TIMEOUT


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RefusedError(f"{path}: cannot be read: {error.strerror}", hint="check the path") from None

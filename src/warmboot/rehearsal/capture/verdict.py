"""Verdicts: whether this machine would give a dump, and what is missing where it would not."""

from __future__ import annotations

import errno

from warmboot.crash_figures import CaptureFigures, DumpFigures
from warmboot.rehearsal.capture.companion import Marks
from warmboot.rehearsal.capture.options import CrashOptions
from warmboot.rehearsal.capture.watch import CrashWatch
from warmboot.stages import Outcome, Result, Stage

__all__ = ["TOO_SMALL", "capture_failure", "conclude", "dump_problem", "load_failure"]

_MIB = 1 << 20
_NO_ROOM = (errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EBUSY)
_LOOK = "look at the whole console by --console FILE"
TOO_SMALL = "the size that works is found by: warmboot crashkernel"


def load_failure(stage: Stage, number: int, reserved: int, options: CrashOptions) -> None:
    """The first kernel did not take the capture kernel."""
    name = errno.errorcode.get(number, str(number))
    stage.outcome = Outcome.FAILED
    stage.problem = f"the kernel did not load it: {name}"
    if number in _NO_ROOM:
        stage.problem += f": kernel and initrd do not fit the reservation of {reserved // _MIB} MiB"
        stage.hint = TOO_SMALL
    elif number == errno.ENOSYS:
        stage.hint = "this kernel was built without kexec_file_load (CONFIG_KEXEC_FILE)"
    elif number in (errno.EPERM, errno.EKEYREJECTED, errno.ENOKEY):
        stage.hint = "the kernel takes signed capture kernels only: see lockdown= and module.sig_enforce"
    else:
        stage.hint = _LOOK
    del options


def capture_failure(stage: Stage, watch: CrashWatch, options: CrashOptions, *, ours: bool, reserved: int) -> None:
    """Whether the capture kernel did what it had to do."""
    heard = watch.heard
    done = heard.saved == 0 if ours else heard.vmcore and not watch.lost
    if not ours and options.until and watch.reached_at is None:
        done = False
    if done:
        return
    stage.outcome = Outcome.FAILED
    if watch.no_memory or "memory" in watch.lost:
        stage.problem = (
            f"the capture kernel had not enough memory in {reserved // _MIB} MiB: {watch.no_memory or watch.lost}"
        )
        stage.hint = TOO_SMALL
        return
    if watch.lost:
        stage.problem = f"the capture kernel died: {watch.lost}"
    elif heard.vmcore == 0:
        stage.problem = "there is no /proc/vmcore in the capture kernel: it needs CONFIG_PROC_VMCORE"
    elif ours and heard.vmcore and heard.disk is None and heard.saved is None and heard.memory.samples:
        stage.problem = "the capture kernel has a driver of neither NVMe nor virtio disks built in: nothing was saved"
        stage.hint = "give the initrd that shall capture by --capture-initrd"
        return
    elif heard.saved:
        stage.problem = f"the dump could not be saved: dd ended with {heard.saved}"
    else:
        waited = options.until if options.until and heard.captured_at is not None else "the dump"
        last = next((each.strip() for each in reversed(watch.last_lines) if each.strip()), "nothing")
        stage.problem = f"{waited} did not come; last on the console: {last}"
    stage.hint = _LOOK


def dump_problem(stage: Stage, marks: Marks) -> None:
    """Whether the dump holds what the first kernel had."""
    figures = stage.figures
    assert isinstance(figures, DumpFigures)
    missing = [
        what
        for what, found in (
            ("the process's pattern", figures.pattern_at),
            (f"the message {marks.message!r}", figures.message),
            ("the registers", any(each.registers for each in figures.processors)),
        )
        if not found
    ]
    lost = (figures.comparable or 0) - (figures.compared or 0) - figures.cleared
    if lost:
        missing.append(f"{lost} bytes of memory as they were, at {_places(figures)}")
    if missing:
        stage.outcome = Outcome.FAILED
        stage.problem = f"the dump lacks {', '.join(missing)}"
        stage.hint = "report it, with the dump, which --save FILE keeps"


def _places(figures: DumpFigures) -> str:
    return ", ".join(f"{each:#x}" for each in figures.differs_at)


def conclude(result: Result, vmcore: int | None = None) -> None:
    """The verdict of stages that all passed; `vmcore` bytes were there for an initrd of the user's."""
    captured = result.figures(CaptureFigures)
    spare = "" if captured.need is None else f", {captured.need.spare // _MIB} MiB to spare"
    if result.stage("dump") is None and vmcore is not None:
        result.verdict = f"the capture kernel finds a dump of {vmcore // _MIB} MiB and runs your initrd{spare}"
        return
    result.verdict = f"this machine would give you a dump{spare}"

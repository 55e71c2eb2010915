"""What makes a guest's kernel crash: a write to sysrq-trigger, or something that is done to its machine.

A kernel that is whole has no NULL dereference to offer, nor a processor that hangs: those are made by QEMU's debug
stub, which changes the kernel's text where it is about to run. From there on everything is the kernel's own: the fault,
or the watchdog.
"""

from __future__ import annotations

from dataclasses import dataclass

from warmboot.rehearsal.arch import of
from warmboot.rehearsal.capture.options import CrashBy

__all__ = ["Injury", "injury"]


@dataclass(frozen=True, slots=True)
class Injury:
    """`parameters` are for the first kernel's command line.

    With `calls` the process makes system calls for ever, and the machine is hurt: `text` goes to the function
    `function`, or without one an NMI comes. Otherwise the process writes to /proc/sysrq-trigger itself.
    """

    parameters: str = ""
    calls: bool = False
    function: str = ""
    text: bytes = b""


def injury(by: CrashBy, machine: str) -> Injury:
    """The injury of that name."""
    arch = of(machine)
    match by:
        case CrashBy.NMI:  # that nobody can explain
            return Injury("unknown_nmi_panic", calls=True)
        case CrashBy.NULL:
            return Injury("oops=panic", calls=True, function="__do_sys_getppid", text=arch.call_of_null)
        case CrashBy.WATCHDOG:  # nothing but an interrupt can interrupt a loop there: the soft lockup detector finds it
            parameters = "softlockup_panic=1 watchdog_thresh=3"
            return Injury(parameters, calls=True, function="run_timer_softirq", text=arch.endless_loop)
        case CrashBy.SYSRQ:
            return Injury()

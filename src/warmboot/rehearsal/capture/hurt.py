"""Saying go to a guest that waits for its crash, and hurting its machine where the crash needs that."""

from __future__ import annotations

import time

from warmboot.errors import RefusedError
from warmboot.machines.gdb import DebuggerError
from warmboot.machines.guest import Guest, GuestError
from warmboot.machines.qmp import MonitorError
from warmboot.rehearsal.capture.injury import Injury
from warmboot.rehearsal.capture.jump import JUMP, Jump
from warmboot.rehearsal.capture.watch import CrashWatch

__all__ = ["hurt"]

_HINT = "crash it by sysrq, or look at the whole console by --console FILE"
_SETTLE = 0.5  # seconds that the process gets to make its system calls
_LONGEST = 60.0  # seconds until the jump


def hurt(guest: Guest, jump: Jump, watch: CrashWatch, injury: Injury, deadline: float) -> None:
    """Crash it, and copy its memory at the jump. Raises RefusedError."""
    symbols = watch.heard.symbols
    if injury.function and injury.function not in symbols:
        raise RefusedError(f"the kernel's /proc/kallsyms has no {injury.function}", hint=_HINT)
    try:
        if injury.calls:
            guest.send("go")
            watch.follow(lambda: watch.heard.crash_at is not None, deadline)
            watch.follow(lambda: False, min(deadline, time.monotonic() + _SETTLE))
        if injury.function:
            address = symbols[injury.function]
            jump.debugger.run_to(address)
            jump.debugger.stopped(address, _left(deadline))
            jump.debugger.write(address, injury.text)
        jump.arm(symbols.get(JUMP))
        if not injury.calls:
            guest.send("go")
        elif not injury.function:
            jump.monitor.ask("inject-nmi")
        watch.follow(lambda: watch.heard.crash_at is not None, deadline)
        jump.catch(_left(deadline))
    except (DebuggerError, MonitorError) as error:
        raise RefusedError(str(error), hint=_HINT) from None
    except GuestError as error:
        raise RefusedError(error.what, hint=_HINT) from None


def _left(deadline: float) -> float:
    return min(_LONGEST, max(1.0, deadline - time.monotonic()))

"""Starting a program that does not outlive this process, even where this process is killed."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO

__all__ = ["spawn"]


def spawn(
    command: Sequence[str],
    held: ExitStack,
    *,
    pass_fds: Sequence[int] = (),
    stdin: int = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, with the files `pass_fds`; it is killed when `held` is closed or this
    process is gone.

    QEMU outlives a parent that is killed: end of file on a character device means nothing to it. So it inherits a
    pipe's reading end whose readiness is signalled (O_ASYNC) to itself, as SIGKILL. Only the end of the last writer,
    this process, makes it ready. PR_SET_PDEATHSIG would need code in the child, and is about the thread that started
    it. The signal's owner is set once the child has its process id: to be killed in the microseconds before that is
    the one way to leave a program behind.

    Raises OSError where the program cannot be started.
    """
    lifeline, writer = os.pipe()
    held.callback(os.close, writer)
    try:
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
        process = subprocess.Popen(
            list(command),
            bufsize=0,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=[*pass_fds, lifeline],
            start_new_session=True,  # the terminal's Ctrl-C is for us, and we close what we started
        )
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, process.pid)
    finally:
        os.close(lifeline)
    return process

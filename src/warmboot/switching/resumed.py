"""Hooks after the jump: started with the word `resumed` when everything was taken over, and nobody waits for them."""

from __future__ import annotations

import os
import sys

__all__ = ["start_resumed_hooks"]

_FOLDER = "/etc/warmboot/switch.d"


def start_resumed_hooks(identity: str) -> None:
    """Start a process that runs them, where there are any."""
    try:
        there = any(not each.startswith(".") for each in os.listdir(_FOLDER))  # noqa: PTH208 - pathlib costs time
    except OSError:
        return
    if not there:
        return
    child = os.fork()
    if child != 0:
        os.waitpid(child, 0)
        return
    status = 1
    try:
        os.closerange(3, 1 << 16)
        if os.fork() == 0:  # nobody's child: the agent waits for none
            from warmboot.errors import WarmbootError  # noqa: PLC0415 - only where there are hooks
            from warmboot.switching.hooks import found_hooks, run_hooks  # noqa: PLC0415

            try:
                run_hooks(found_hooks(()), "resumed", 600.0, identity=identity, strict=False)
            except WarmbootError as error:
                print(f"warmboot: {error}", file=sys.stderr)
        status = 0
    finally:
        os._exit(status)

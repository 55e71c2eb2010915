"""The processor's counter of time: unlike every clock of Linux's it goes on through a kexec."""

from __future__ import annotations

from warmboot.live.arch import this_machine
from warmboot.live.machine_code import call

__all__ = ["read_counter"]


def read_counter() -> int | None:
    """Its ticks, of a rate that is to be measured; None where it cannot be read here."""
    from warmboot.errors import RefusedError  # noqa: PLC0415 - its enum would cost more than all of this

    try:
        return call(this_machine().read_counter)
    except (OSError, RefusedError):
        return None

"""What `kexec` does for the boot after it: the notes of a load, and the watchdog of --rescue."""

from __future__ import annotations

import os
import sys

from warmboot.dropin.output import shown, told
from warmboot.dropin.stop import EFAILED, Stop
from warmboot.errors import WarmbootError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.dropin.command import Command
    from warmboot.live.watchdog import Started

# ruff: noqa: PLC0415 - watchdogs cost what a load without --rescue does not pay

__all__ = ["check_guard", "note", "start_guard", "with_rescue_words"]

_EFI = "/sys/firmware/efi"


def check_guard() -> None:
    """Whether this machine has a watchdog for --rescue: asked before anything is loaded. Raises Stop."""
    from warmboot.live.watchdog import check_rescue

    try:
        check_rescue()
    except WarmbootError as error:
        raise Stop(EFAILED, told(error)) from None


def with_rescue_words(command: Command, line: str) -> str:
    """The command line with what has the new kernel reset the machine; it is told."""
    from warmboot.blackbox.rescue import rescue_words
    from warmboot.command_line import parse

    words = rescue_words(line, command.rescue)
    if words:
        sys.stderr.write(f"kexec: --rescue: added to the command line: {shown(words)}\n")
    return str(parse(line).with_parameters(words)) if words else line


def note(command: Command) -> None:
    """Note what was loaded."""
    from warmboot.blackbox.noting import note_loaded

    loaded = command.loaded
    note_loaded(
        command.operands[0],
        loaded.kernel.version if loaded.kernel is not None else "",
        command.initrds[-1:],
        loaded.line,
        call=loaded.call,
        efi=loaded.efi if os.access(_EFI, os.F_OK) else None,
        rescue=command.rescue,
        box=loaded.box,
        load_id=loaded.load_id,
    )


def start_guard(command: Command) -> Started | None:
    """Before the jump, or the system's shutdown: the watchdog is started where --rescue asked for it, now or at the
    load. Raises Stop."""
    from warmboot.blackbox.rescue import asked_for, begin

    seconds = command.rescue or asked_for()
    if command.shutdown and not seconds:
        return None  # whether a shutdown comes to a kexec is init's choice: nothing is noted
    try:
        started = begin(seconds)
    except WarmbootError as error:
        raise Stop(EFAILED, told(error)) from None
    if started is not None:
        shorter = f" (not in {seconds} s: it takes no longer time)" if started.seconds < seconds else ""
        sys.stderr.write(f"kexec: --rescue: {shown(started.told)}{shorter}\n")
    return started

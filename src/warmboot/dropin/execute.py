"""What follows a load: the system's shutdown, or sync, interfaces down, and the jump."""

from __future__ import annotations

import os
import sys

from warmboot.dropin.failure import explain
from warmboot.dropin.stop import EFAILED, Stop
from warmboot.live.calls import LiveError, reboot_kexec, sync
from warmboot.live.status import keeps_notes, loaded, may_have_box

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.dropin.command import Command
    from warmboot.live.watchdog import Started

__all__ = ["finish"]


def finish(command: Command) -> int:
    """0, or a negative number of stop.py; it does not return where another kernel starts. Raises Stop."""
    if command.shutdown or command.exec:
        _check_loaded()
    watchdog = None
    if (command.shutdown or command.exec) and (command.rescue or keeps_notes()):
        from warmboot.dropin.guard import start_guard  # noqa: PLC0415 - few computers keep notes

        watchdog = start_guard(command)
    if command.shutdown:
        return _shut_down(watchdog)
    if command.sync and not command.no_sync:
        sync()
    if command.exec:
        # kexec-tools does this after -e -l as well, where nothing is started and the network would only be lost.
        if not command.no_ifdown:
            _interfaces_down()
        return _exec(watchdog)
    if command.jump_back_helper:
        return _load_jump_back_helper(command)
    return 0


def _check_loaded() -> None:
    """Nothing must be stopped for a jump that cannot come. Raises Stop."""
    there = loaded()
    # Without /sys this is not known, and the call decides. With /sys, a kernel that has neither file has no kexec.
    if there is False or (there is None and os.access("/sys/kernel", os.F_OK)):
        raise Stop(1, "Nothing has been loaded!\n" + (_NO_KEXEC if there is None else _LOAD_FIRST))


_LOAD_FIRST = "kexec: load a kernel first: kexec -l KERNEL --initrd=FILE --reuse-cmdline\n"
_NO_KEXEC = "kexec: the running kernel has no /sys/kernel/kexec/loaded: it was built without kexec\n"


def _shut_down(watchdog: Started | None) -> int:
    from warmboot.live.kexec_call import note_call  # noqa: PLC0415 - only this way out needs them
    from warmboot.live.services import shutdown_commands  # noqa: PLC0415

    note_call("exec")
    sys.stdout.flush()
    sys.stderr.flush()
    number = 0
    for path, *arguments in shutdown_commands():
        try:
            os.execv(path, ["shutdown", *arguments])
        except OSError as error:
            number = error.errno or number
    sys.stderr.write(f"shutdown: {os.strerror(number)}\nkexec: the kernel is loaded; reboot, or kexec -e, starts it\n")
    _call_off(watchdog)
    return EFAILED


def _interfaces_down() -> None:
    """What cannot be taken down is told, and does not stop us: kexec-tools goes on too."""
    from warmboot.live.network import interfaces_down  # noqa: PLC0415

    try:
        for name, error in interfaces_down():
            sys.stderr.write(f"ifdown: shutdown {name}: {error.strerror}\n")
    except OSError as error:
        sys.stderr.write(f"ifdown: if_nameindex: {error.strerror}\n")


def _exec(watchdog: Started | None) -> int:
    from warmboot.live.kexec_call import note_call  # noqa: PLC0415 - only here

    sys.stdout.flush()
    sys.stderr.flush()
    if may_have_box() or keeps_notes():
        from warmboot.blackbox.loaded import mark_calling  # noqa: PLC0415 - few computers have a page for it

        mark_calling()
    note_call("call")
    try:
        reboot_kexec()
    except LiveError as error:
        sys.stderr.write(f"kexec failed: {error.strerror}\n")
        explain(error)
    _call_off(watchdog)
    return EFAILED


def _call_off(watchdog: Started | None) -> None:
    if watchdog is not None:
        from warmboot.blackbox.rescue import call_off  # noqa: PLC0415

        call_off(watchdog)


def _load_jump_back_helper(command: Command) -> int:
    from warmboot.live.calls import kexec_load  # noqa: PLC0415
    from warmboot.uapi import LoadRequest, Segment, Unreadable  # noqa: PLC0415

    if loaded():
        sys.stderr.write("There is kexec kernel loaded, make sure you are in kexeced kernel.\n")
        return EFAILED
    if not command.entry:
        sys.stderr.write("Please specify jump back entry in command line\n")
        return EFAILED
    try:
        kexec_load(LoadRequest(command.entry, (Segment(Unreadable(), 0, 0, 0),), command.flags))
    except LiveError as error:
        sys.stderr.write(f"load jump back kernel failed: {error.strerror}\n")
        explain(error)
        return EFAILED
    return 0

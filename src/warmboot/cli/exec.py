"""`warmboot exec`: start the loaded kernel on this computer."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from typing import TYPE_CHECKING

from warmboot.cli.options import add_rescue
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import InputError, RefusedError
from warmboot.live import status
from warmboot.live.kexec_call import note_call
from warmboot.live.services import kexec_command
from warmboot.visible import visible

if TYPE_CHECKING:
    from warmboot.live.watchdog import Started

__all__ = ["add_parser", "run"]

_WHEN = "Use it, as root, to start the kernel that is loaded, without firmware in between."
_ABOUT = """\
Where systemd runs, services are stopped and file systems unmounted first, by `systemctl kexec`; elsewhere, or with
--now, file systems are synced, the network is taken down, and everything that still runs is killed."""


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `exec`."""
    parser = add_command(
        subparsers,
        "exec",
        summary="start the loaded kernel on this computer",
        when=_WHEN,
        about=_ABOUT,
        examples=("warmboot exec", "warmboot exec --yes --now"),
        statuses={"0": "services are being stopped; with --now the command does not return"},
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--now", action="store_true", help="at once: services are not stopped")
    add_rescue(
        parser,
        "have the machine's watchdog reset it where the new kernel does not report within TIME from now"
        " (default: 5m); refused where no watchdog outlives the jump",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Start it. Raises RefusedError where nothing is loaded or the kernel refuses."""
    _check_loaded()
    command = None if args.now else kexec_command()
    if not args.yes and not _confirmed(command):
        print("nothing was done")
        return 1
    watchdog = _guard(args.rescue)
    if command is not None:
        note_call("exec")
        sys.stdout.flush()
        os.execv(command[0], command)
    _start(watchdog)
    return 1


def _guard(rescue: int) -> Started | None:
    """Start the watchdog that was asked for, now or at the load. Raises RefusedError where there is none that helps."""
    from warmboot.blackbox.rescue import asked_for, begin  # noqa: PLC0415 - only when it runs

    started = begin(rescue or asked_for())
    if started is not None:
        print(f"--rescue: {visible(started.told)}, unless the new system's user space is up by then", flush=True)
    return started


def _check_loaded() -> None:
    loaded = status.loaded()
    if loaded is None:
        raise RefusedError(
            "this kernel has no kexec, or /sys is not mounted", hint="boot a kernel with CONFIG_KEXEC, as Debian's are"
        )
    if not loaded:
        raise RefusedError("no kernel is loaded", hint="load one first: warmboot load KERNEL --initrd INITRD")
    if os.geteuid() != 0:
        raise RefusedError("only root may start another kernel", hint="run it as root")


def _confirmed(command: tuple[str, ...] | None) -> bool:
    if not sys.stdin.isatty():
        raise InputError("there is no terminal to ask at", hint="say --yes if you mean it")
    how = f"Services are stopped first ({' '.join(command)})." if command else "Services are NOT stopped first."
    print(f"{visible(socket.gethostname())} leaves Linux {os.uname().release} for the loaded kernel. {how}")
    return input("Type yes to go on: ").strip().lower() == "yes"


def _start(watchdog: Started | None) -> None:
    from warmboot.blackbox.loaded import mark_calling  # noqa: PLC0415 - only when it runs
    from warmboot.blackbox.rescue import call_off  # noqa: PLC0415
    from warmboot.live.calls import LiveError, reboot_kexec, sync  # noqa: PLC0415 - loads the C library
    from warmboot.live.network import interfaces_down  # noqa: PLC0415

    sync()
    for name, error in interfaces_down():
        print(f"warmboot: {visible(name)} stays up: {error.strerror}", file=sys.stderr)
    mark_calling()
    note_call("call")
    try:
        reboot_kexec()
    except LiveError as error:
        if watchdog is not None:
            call_off(watchdog)
        raise RefusedError(
            f"the kernel refuses: {error}; the network interfaces have been taken down",
            hint="see the kernel's log (dmesg), and bring the network up again",
        ) from None

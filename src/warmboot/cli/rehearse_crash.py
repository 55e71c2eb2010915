"""`warmboot rehearse --crash`: would this machine give a dump?"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from warmboot.cli.options import MOST_CPUS, facts_asked_for, size_of
from warmboot.cli.staged import run_staged
from warmboot.errors import InputError
from warmboot.kernel.call import Call
from warmboot.rehearsal.capture.options import CrashBy, CrashOptions, Way

__all__ = ["add_capture", "add_crash", "check_no_crash", "crash_options", "firmware", "run_crash"]

_CRASHKERNEL = "256M"
_CALLS = {Way.GUEST: Call.FILE, Way.MODEL: Call.LOAD}
_NOT_WITH = ("module", "profile", "panic", "no_boot", "command_line")
_ALONE = ("on", "capture", "capture_initrd", "capture_append", "efi", "crash_by", "save")
_OF_A_GUEST = {
    "initrd": "the model has no first kernel that runs",
    "append": "the model has no first kernel that runs",
    "crash_by": "the model has one way to crash",
}


def add_crash(parser: argparse.ArgumentParser) -> None:
    """The options that --crash has."""
    add = parser.add_argument_group("rehearsing a crash").add_argument
    add(
        "--crash",
        action="store_true",
        help="boot KERNEL, load a capture kernel, crash, save the dump and look into it; --crashkernel is 256M unless"
        " given",
    )
    add(
        "--on",
        choices=[each.value for each in Way],
        metavar="WAY",
        help="where it crashes: guest, the default, boots KERNEL itself with your initrd, so that everything is as on"
        " your machine; model jumps from a model of Linux's crash, which takes a third of the time",
    )
    add("--capture", metavar="KERNEL", type=Path, help="the kernel that takes the dump (default: the same)")
    add_capture(add)
    add(
        "--crash-by",
        choices=[each.value for each in CrashBy],
        metavar="HOW",
        help="how KERNEL crashes, in a guest: sysrq (default), null (a call of address 0), watchdog (a lockup that its"
        " watchdog finds) or nmi",
    )
    add("--save", metavar="FILE", type=Path, help="keep the dump in FILE (default: it is examined and deleted)")


def add_capture(add: Callable[..., object]) -> None:
    """The options about what takes the dump."""
    add(
        "--capture-initrd",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="the capture kernel's initrd; may be repeated (default: a small one of ours that saves the dump)",
    )
    add("--capture-append", metavar="TEXT", default="", help="add to the capture kernel's command line")
    add("--efi", action="store_true", help="with EFI firmware, which WARMBOOT_OVMF or a package has")


def run_crash(args: argparse.Namespace) -> int:
    """Rehearse the crash; the exit status."""
    from warmboot.rehearsal.capture.rehearse import rehearse_crash  # noqa: PLC0415 - only --crash needs it

    options, way = crash_options(args)
    facts = facts_asked_for(args) if args.like is not None else None
    return run_staged(
        "rehearse",
        args,
        lambda observer: rehearse_crash(options, way, observer, facts=facts),
        uses_qemu=True,
        show_console=args.console is None,
        facts=None if facts is None else lambda: facts,
    )


def check_no_crash(args: argparse.Namespace) -> None:
    """Raises InputError for options that --crash alone has, where it is not given."""
    for name in _ALONE:
        if getattr(args, name):
            raise InputError(f"{_option(name)} goes with --crash", hint="add --crash, or leave it out")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _check(args: argparse.Namespace, way: Way) -> None:
    """Raises InputError for options that would be ignored."""
    for name in _NOT_WITH:
        if getattr(args, name) not in (None, False, []):
            raise InputError(f"{_option(name)} does not go with --crash", hint="warmboot rehearse --help")
    if way is Way.MODEL:
        for name, why in _OF_A_GUEST.items():
            if getattr(args, name):
                raise InputError(f"{_option(name)} does not go with --on model: {why}", hint="leave it, or --on, out")
        if args.efi and args.like is not None:
            raise InputError("--like already says whether there is EFI", hint="leave --efi out")
    if len(args.crashkernel) > 1:
        raise InputError("--crash takes one --crashkernel", hint="such as 256M, or 512M-2G:64M,2G-:128M")
    if args.until is not None and not args.capture_initrd:
        raise InputError(
            "--until is waited for with --capture-initrd: ours ends when the dump is saved", hint="leave --until out"
        )
    if args.save is not None and args.capture_initrd:
        raise InputError(
            "--save keeps the dump that our initrd saves, and --capture-initrd has its own way", hint="leave one out"
        )


def crash_options(args: argparse.Namespace) -> tuple[CrashOptions, Way]:
    """What is asked for. Raises InputError."""
    way = Way(args.on or Way.GUEST)
    _check(args, way)
    if args.call not in (Call.AUTO, _CALLS[way]):
        other = Way.MODEL if way is Way.GUEST else Way.GUEST
        raise InputError(
            f"--call {args.call} does not go with --crash --on {way.value}, which loads by {_CALLS[way].value}",
            hint=f"--on {other.value}, or leave --call out",
        )
    if args.like is not None and args.on != Way.MODEL:
        raise InputError("--like goes with --on model: a guest is a plain PC", hint="add --on model")
    if args.cpus is not None and not 1 <= args.cpus <= MOST_CPUS:
        raise InputError(f"--cpus {args.cpus}: not from 1 to {MOST_CPUS}", hint="2 are enough")
    options = CrashOptions(
        kernel=args.kernel,
        initrds=args.initrd,
        append=args.append,
        crashkernel=_crashkernel(args),
        capture=args.capture,
        capture_initrds=args.capture_initrd,
        capture_append=args.capture_append,
        memory=size_of("--memory", args.memory or "1G"),
        cpus=args.cpus or 2,
        by=CrashBy(args.crash_by or CrashBy.SYSRQ),
        until=args.until,
        firmware=firmware() if args.efi else None,
        save=args.save,
        console=args.console,
        timeout=args.timeout,
    )
    return options, way


def _crashkernel(args: argparse.Namespace) -> str:
    """What is asked for, or what the machine of --like has."""
    if args.crashkernel:
        return str(args.crashkernel[-1])
    reserved = sum(each.size for each in facts_asked_for(args).crash_kernel) if args.like is not None else 0
    return f"{reserved >> 10}K" if reserved else _CRASHKERNEL


def firmware() -> Path:
    """EFI firmware for QEMU. Raises MissingToolError, InputError."""
    from warmboot.machines.arch import DEFAULT, of  # noqa: PLC0415

    return of(DEFAULT).efi_firmware()

"""`warmboot rehearse --handover`: does what a script preserves arrive in the next kernel?"""

from __future__ import annotations

import argparse
from pathlib import Path

from warmboot.cli.options import MOST_CPUS, size_of
from warmboot.cli.staged import run_staged
from warmboot.errors import InputError
from warmboot.kernel.call import Call

__all__ = ["add_handover", "check_no_handover", "run_handover"]

_NOT_WITH = ("module", "profile", "panic", "no_boot", "command_line", "like", "until", "crash")


def add_handover(parser: argparse.ArgumentParser) -> None:
    """The options that --handover has."""
    add = parser.add_argument_group("rehearsing a handover (KHO, LUO)").add_argument
    add(
        "--handover",
        metavar="SCRIPT",
        type=Path,
        help="boot a first kernel, run 'SCRIPT preserve' in it, load KERNEL by kexec_file_load and jump; what is"
        " preserved is compared byte for byte, then 'SCRIPT retrieve' runs. Both run in a small Debian with a shell and"
        " Python, your --initrd over it. A SCRIPT that must hold its sessions prints the line 'preserved' and stays",
    )
    add("--first", metavar="KERNEL", type=Path, help="the kernel that preserves (default: the same)")


def check_no_handover(args: argparse.Namespace) -> None:
    """Raises InputError for options that --handover alone has, where it is not given."""
    if args.first is not None:
        raise InputError("--first goes with --handover", hint="add --handover SCRIPT, or leave it out")


def run_handover(args: argparse.Namespace) -> int:
    """Rehearse the handover; the exit status. Raises InputError."""
    from warmboot.rehearsal.handed.options import HandedOptions  # noqa: PLC0415 - only --handover needs them
    from warmboot.rehearsal.handed.rehearse import rehearse_handover  # noqa: PLC0415

    for name in _NOT_WITH:
        if getattr(args, name) not in (None, False, []):
            raise InputError(f"--{name.replace('_', '-')} does not go with --handover", hint="warmboot rehearse --help")
    if args.call not in (Call.AUTO, Call.FILE):
        raise InputError(
            f"--call {args.call} does not go with --handover: kexec_load hands nothing over", hint="leave it out"
        )
    if args.cpus is not None and not 1 <= args.cpus <= MOST_CPUS:
        raise InputError(f"--cpus {args.cpus}: not from 1 to {MOST_CPUS}", hint="2 are enough")
    options = HandedOptions(
        kernel=args.kernel,
        script=args.handover,
        first=args.first,
        initrds=args.initrd,
        append=args.append,
        memory=size_of("--memory", args.memory or "1G"),
        cpus=args.cpus or 2,
        console=args.console,
        timeout=args.timeout,
    )
    return run_staged(
        "rehearse",
        args,
        lambda observer: rehearse_handover(options, observer),
        uses_qemu=True,
        show_console=args.console is None,
        facts=None,
    )

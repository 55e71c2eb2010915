"""`warmboot crashkernel`: how much memory must be reserved so that a crash gives a dump?"""

from __future__ import annotations

import argparse

from warmboot.cli.options import add_json, add_kernel, add_like, add_memory, facts_asked_for, size_of
from warmboot.cli.parser import Subparsers, add_command
from warmboot.cli.rehearse_crash import add_capture, firmware
from warmboot.cli.staged import run_staged
from warmboot.errors import InputError

__all__ = ["add_parser", "run"]

_TIMEOUT = 120.0  # seconds
_LONGEST_TIMEOUT = 1e6

_WHEN = """\
Use it before you set up kdump, and again when the kernel or its initrd has changed: how large must crashkernel= be?"""
_ABOUT = """\
Nothing is guessed: the capture kernel is started in reservations of several sizes, on a machine that exists only here,
as after a crash, until the smallest one in which it saves the dump is known to 4 MiB. A try takes some seconds, all of
them less than a minute. With --capture-initrd a size works if user space keeps running, or --until's text appears."""
_EXAMPLES = (
    "warmboot crashkernel /boot/vmlinuz-6.12",
    "warmboot crashkernel /boot/vmlinuz-6.12 --capture-initrd kdump.img --like host.json",
    'warmboot crashkernel vmlinuz --capture-initrd kdump.img --until "saving the dump" --json',
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `crashkernel`."""
    parser = add_command(
        subparsers,
        "crashkernel",
        summary="how much memory must be reserved so that a crash gives a dump?",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses={"0": "the smallest reservation that works was found"},
        environment=("WARMBOOT_QEMU", "WARMBOOT_OVMF", "WARMBOOT_ACCEL", "WARMBOOT_CACHE"),
    )
    add_kernel(parser, "the kernel that takes the dump")
    add_capture(parser.add_argument)
    add_like(parser)
    add_memory(parser, "1G")
    add = parser.add_argument
    add("--until", metavar="TEXT", help="a size works if TEXT appears on the console")
    add(
        "--timeout",
        metavar="S",
        type=float,
        default=_TIMEOUT,
        help="seconds that a try may take (default: 120)",
    )
    add_json(parser, "print one JSON object at the end")
    parser.set_defaults(run=run, uses_qemu=True, cpus=None, crashkernel=[], html=None, junit=None)


def run(args: argparse.Namespace) -> int:
    """Find it; the exit status. Raises InputError."""
    if not 0 < args.timeout <= _LONGEST_TIMEOUT:
        raise InputError(f"--timeout {args.timeout:g}: not from 0 to {_LONGEST_TIMEOUT:g} seconds", hint="such as 120")
    from warmboot.files.mapped import map_file  # noqa: PLC0415 - only when it runs, as below
    from warmboot.images import identify  # noqa: PLC0415
    from warmboot.rehearsal.capture.options import CrashOptions  # noqa: PLC0415
    from warmboot.rehearsal.capture.search import rehearse_crashkernel  # noqa: PLC0415

    identify(args.kernel)  # a file that no size of a reservation can help
    for each in args.capture_initrd:
        map_file(each, "initrd")
    facts = facts_asked_for(args) if args.like is not None else None
    options = CrashOptions(
        kernel=args.kernel,
        capture_initrds=args.capture_initrd,
        capture_append=args.capture_append,
        memory=size_of("--memory", args.memory or "1G"),
        until=args.until,
        firmware=firmware() if args.efi else None,
        timeout=args.timeout,
    )
    return run_staged(
        "crashkernel", args, lambda observer: rehearse_crashkernel(options, observer, facts=facts), uses_qemu=True
    )

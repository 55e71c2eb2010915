"""`warmboot time`: where the seconds of a kexec go, of a rehearsed one or of that which started this computer."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from warmboot.cli.options import (
    add_append,
    add_cpus,
    add_digest,
    add_initrd,
    add_json,
    add_like,
    add_memory,
    add_replace,
    add_unpack,
    command_line_request,
    facts_asked_for,
)
from warmboot.cli.parser import Subparsers, add_command, section
from warmboot.cli.staged import run_staged
from warmboot.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.stages import Observer, Result

__all__ = ["add_parser", "run"]

_TIMEOUT, _LONGEST_TIMEOUT = 120.0, 1e6  # seconds
_WHEN = """\
Use it after a kexec to see where its seconds went, beside those of the kexec before and of the last start by firmware;
or with KERNEL before one, to see which part of it is worth shortening."""
_ABOUT = """\
Without KERNEL it reads how this computer was started: a stamp that warmboot's purgatory left in the boot parameters,
the kernel's log, and systemd's times. Run as root it keeps the answer in /var/lib/warmboot, so that there is something
to compare with, and from then on `kexec -e` and `warmboot exec` keep there when they were called. With KERNEL that is
rehearsed, as `warmboot rehearse` does, with a purgatory and a kernel that tell on the serial port how far they are."""
_PARTS = {
    "firmware, loader": "of a start by firmware, where EFI and systemd tell: until the boot loader, and the kernel",
    "shutdown": "from the call of reboot: devices, and pages put in place",
    "relocation": "of a rehearsal: pages put in place",
    "purgatory": "what was loaded is checked",
    "unpacking": "the kernel unpacks itself, until its clock runs",
    "kernel": "the kernel's start, by its own clock",
    "initrd": "the initrd is unpacked, and what is done beside that",
    "devices": "the rest, until the first program runs",
    "init": "programs, until all is started or user space answers",
}
_EXAMPLES = (
    "warmboot time",
    "warmboot time --json",
    "warmboot time /boot/vmlinuz-6.12 --initrd /boot/initrd.img-6.12",
    "warmboot time /boot/vmlinuz-6.12 --initrd /boot/initrd.img-6.12 --unpack kernel,initrd",
)
_OF_A_REHEARSAL: tuple[tuple[str, object], ...] = (
    ("initrd", []),
    ("command_line", None),
    ("append", ""),
    ("unpack", frozenset()),
    ("like", None),
    ("memory", None),
    ("cpus", None),
    ("until", None),
    ("console", None),
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `time`."""
    parser = add_command(
        subparsers,
        "time",
        summary="where the seconds of a kexec go",
        when=_WHEN,
        about=_ABOUT,
        sections=[section("parts", _PARTS)],
        examples=_EXAMPLES,
        statuses={"0": "the times are known; with KERNEL: and it boots"},
        environment=("WARMBOOT_QEMU", "WARMBOOT_OVMF", "WARMBOOT_ACCEL", "WARMBOOT_CONSOLE_LIMIT"),
    )
    add = parser.add_argument
    add("kernel", metavar="KERNEL", type=Path, nargs="?", help="rehearse this kernel (default: read this boot)")
    add_initrd(parser)
    add_replace(parser)
    add_append(parser)
    add_digest(parser)
    add_unpack(parser)
    add_like(parser)
    add_memory(parser, "1G")
    add_cpus(parser)
    add("--until", metavar="TEXT", help="boot until TEXT is on the console, instead of until user space")
    add("--timeout", metavar="S", type=float, default=_TIMEOUT, help="seconds that the boot may take (default: 120)")
    add("--console", metavar="FILE", type=Path, help="write the new kernel's console to FILE")
    add("--no-keep", action="store_true", help="keep nothing in /var/lib/warmboot")
    add_json(parser, "print one JSON object at the end")
    parser.set_defaults(run=run, uses_qemu=True, html=None, junit=None, crashkernel=[])


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError where there is nothing to tell."""
    if args.kernel is None:
        given = [name for name, default in _OF_A_REHEARSAL if getattr(args, name) != default]
        if given:
            raise InputError(
                f"--{given[0].replace('_', '-')} is for a rehearsal, and no kernel is given",
                hint="give KERNEL, or leave the option out",
            )
        return run_staged("time", args, lambda observer: _this_boot(observer, keep=not args.no_keep))
    if not 0 < args.timeout <= _LONGEST_TIMEOUT:
        raise InputError(f"--timeout {args.timeout:g}: no such time", hint="give seconds, such as 120")
    if args.until == "":
        raise InputError("--until: an empty text is on every console", hint="give a text, such as login:")
    from warmboot.rehearsal.options import Options  # noqa: PLC0415 - this boot is read without all that
    from warmboot.rehearsal.timed import rehearse_timed  # noqa: PLC0415

    options = Options(
        kernel=args.kernel,
        facts=facts_asked_for(args),
        initrds=args.initrd,
        command_line=command_line_request(args),
        digest=args.digest,
        unpack=args.unpack,
        cpus=args.cpus,
        until=args.until,
        timeout=args.timeout,
        console=args.console,
    )
    return run_staged(
        "time", args, lambda observer: rehearse_timed(options, observer), uses_qemu=True, show_console=False
    )


def _this_boot(observer: Observer, *, keep: bool) -> Result:
    """The one stage, of this computer. Raises RefusedError where root cannot keep it."""
    from warmboot.stages import Outcome, Result, Stage  # noqa: PLC0415 - only when it runs
    from warmboot.timing import history, this_boot  # noqa: PLC0415 - a rehearsal needs neither

    observer.begins("time")
    found = this_boot.this_boot()
    figures = history.with_history(found)
    if keep and os.geteuid() == 0:
        history.keep(found.this)
    boot = figures.this
    stage = Stage("time", Outcome.PASSED, figures=figures)
    observer.ends(stage)
    by = "by kexec" if boot.how == "kexec" else "by firmware"
    told = f"{boot.seconds:.2f} s are known" if boot.parts else "no part of it is known"
    return Result([stage], f"started {by}: {told}")

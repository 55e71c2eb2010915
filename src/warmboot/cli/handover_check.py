"""`warmboot handover check`: what of one kernel's handover the next one takes, from the two files alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from warmboot.cli.answer import document, print_json
from warmboot.cli.dump_file import print_answer
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command, section
from warmboot.errors import ExitStatus, InputError

__all__ = ["add_parser", "run"]

_WHEN = "Use it before a jump with handover (KHO, LUO): will the next kernel take what this one preserves?"
_ABOUT = """Formats of handover change with almost every release of Linux, and a kernel takes its own version alone.
What each of the two speaks is read from its file: texts in the unpacked kernel, its configuration where that is inside,
its types (BTF) where it has them. Each thing that can be preserved gets a verdict; 'warmboot explain RULE' has the page
of a rule. A command line that is not given is taken to have the words that it needs, and those are told."""
_FATES = {
    "survives": "the new kernel takes it",
    "lost": "the new kernel boots without it",
    "refused": "the new kernel has it, and gives an error instead of it",
    "panic": "the new kernel does not boot",
    "absent": "the old kernel cannot preserve it",
}
_EXAMPLES = (
    "warmboot handover check /boot/vmlinuz-7.1.0 /boot/vmlinuz-7.2.0",
    'warmboot handover check old.efi new.efi --command-line "kho=on" --keep memory',
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `check`."""
    parser = add_command(
        subparsers,
        "check",
        summary="will the next kernel take what this one hands over?",
        when=_WHEN,
        about=_ABOUT,
        sections=[section("verdicts", _FATES)],
        examples=_EXAMPLES,
        statuses={"0": "all of --keep survives", "1": "something of it does not"},
    )
    add = parser.add_argument
    add("old", metavar="OLD", type=Path, help="the kernel that hands over, also in a unified kernel image")
    add("new", metavar="NEW", type=Path, help="the kernel that takes over")
    add("--old-command-line", metavar="TEXT", help="OLD's command line (default: its image's own, or not known)")
    add("--command-line", metavar="TEXT", help="NEW's command line (default: its image's own, or not known)")
    add(
        "--keep",
        metavar="THING",
        action="append",
        help="what has to survive: memory, reserve_mem, sessions, or a kind of files such as memfd; may be repeated"
        " (default: these four)",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.dump.kernel_abi import HANDLERS, kernel_abi  # noqa: PLC0415 - only when it runs, as below
    from warmboot.handover.compatible import THINGS, compatibility  # noqa: PLC0415
    from warmboot.report.text.handover_check import check_lines  # noqa: PLC0415
    from warmboot.visible import visible  # noqa: PLC0415

    known = {*THINGS, "chain", *HANDLERS}
    for each in args.keep or ():
        if each not in known:
            raise InputError(f"--keep {visible(each, most=40)}: nothing of that name", hint=", ".join(sorted(known)))
    found = compatibility(
        kernel_abi(args.old),
        kernel_abi(args.new),
        old_line=args.old_command_line,
        new_line=args.command_line,
        keep=args.keep or THINGS,
    )
    if args.json:
        print_json(document("handover-check", found))
    else:
        print_answer(check_lines(found), indent=4)
    return ExitStatus.DONE if found.survives else ExitStatus.REFUSED

"""`warmboot dump fits`: whether a tool filters a kernel's dumps rightly, by the kernel file alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import ExitStatus

__all__ = ["add_parser", "run"]

_WHEN = "Use it before any crash, and before a new kernel is used: it says whether your makedumpfile knows its pages."
_ABOUT = """\
Linux changes how it marks its pages every few releases, and each time makedumpfile leaves out pages of the kernel
until it is updated. What changed in this kernel is seen in its types (BTF), which are in the file."""
_EXAMPLES = (
    "warmboot dump fits /boot/vmlinuz-6.12",
    "warmboot dump fits /boot/vmlinuz-6.12 --tool makedumpfile-1.7.8",
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `fits`."""
    parser = add_command(
        subparsers,
        "fits",
        summary="does a tool filter this kernel's dumps rightly?",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses={str(int(ExitStatus.REFUSED)): "the tool of --tool does not fit"},
    )
    parser.add_argument("kernel", metavar="KERNEL", type=Path, help="a vmlinuz or vmlinux")
    parser.add_argument("--tool", metavar="TOOL", help="such as makedumpfile-1.7.2 (default: all that are known)")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.dump.fits import TOOLS, FitsAnswer, changes_of, fit  # noqa: PLC0415 - only when it runs
    from warmboot.dump.kernel_file import kernel_types  # noqa: PLC0415
    from warmboot.report.text.terminal import Terminal  # noqa: PLC0415

    if args.tool is not None:
        fit(args.tool, ())  # a name that is not known is told at once
    release, btf = kernel_types(args.kernel)
    changes = changes_of(btf)
    fits = tuple(fit(tool, changes) for tool in ([args.tool] if args.tool else TOOLS))
    if args.json:
        print_json(document("dump-fits", FitsAnswer(release, tuple(each.linux for each in changes), fits)))
    else:
        terminal = Terminal()
        terminal.line(f"Linux {release or 'of an unknown release'}")
        for each in fits:
            text = f"{each.tool:20}{each.verdict}{'' if each.measured else ' (not measured)'}"
            terminal.line(text if each.verdict == "fits" else terminal.bad(text))
            for reason in each.reasons:
                terminal.line(f"    {reason}", indent=4)
    wrong = args.tool is not None and fits[0].verdict != "fits"
    return ExitStatus.REFUSED if wrong else ExitStatus.DONE

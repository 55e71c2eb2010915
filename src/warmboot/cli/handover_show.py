"""`warmboot handover show`: what is preserved, whose it is, and what of it can be read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.cli.answer import document, print_json
from warmboot.cli.asked_file import check_asked, write_asked
from warmboot.cli.dump_file import print_answer
from warmboot.cli.options import add_html, add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import ExitStatus, InputError

if TYPE_CHECKING:
    from warmboot.handover.look import Look

__all__ = ["add_parser", "run"]

_WHEN = "Use it to see what this kernel would hand over at a kexec, or what it was handed."
_ABOUT = """\
It reads the memory of the running kernel, as root; or of a FILE: any dump, or a machine's memory without headers
(QEMU's memory-backend-file or pmemsave); or, with --qmp, of a guest in QEMU. Shown are the scratch areas, every
preserved range with its owner, sessions with their files, and the chain of kernels.

Linux writes names of sessions and tokens of files for the next kernel when it jumps. Before, memfds are told by their
form, and the names are those of the kernel's own lists, where its symbols are found, and of the processes that hold
sessions.

With --extract the content of a preserved memfd is written to a file, whose holes are where it has only zeros."""
_EXAMPLES = (
    "warmboot handover show",
    "warmboot handover show --json",
    "warmboot handover show memory.raw --html handover.html",
    "warmboot handover show memory.raw --extract service/0x1 memfd.raw",
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `show`."""
    parser = add_command(
        subparsers,
        "show",
        summary="what is preserved, and whose it is",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses={str(int(ExitStatus.REFUSED)): "there is no handover, or it cannot be read"},
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        nargs="*",
        help="a dump, all files of a split one, or memory without headers (default: the running kernel)",
    )
    parser.add_argument(
        "--qmp", metavar="SOCKET", type=Path, help="look at a guest in QEMU, by its QMP socket; it stops meanwhile"
    )
    parser.add_argument(
        "--extract",
        nargs=2,
        metavar=("MEMFD", "TO"),
        help="write a memfd's content to TO: MEMFD is SESSION/TOKEN, or the address of its structure as it is shown",
    )
    add_html(parser, "the memory picture, owners and sessions, in one file")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    check_asked("--html", args.html)
    seen = _look(args.file, args.qmp)
    if args.extract:
        from warmboot.handover.extract import extract  # noqa: PLC0415 - for this alone

        written = extract(seen, args.extract[0], Path(args.extract[1]))
        if not args.json:
            print_answer([written])
            return ExitStatus.DONE
    answer = document("handover-show", seen.answer) if args.json or args.html else {}
    if args.html is not None:
        from warmboot.report.html.handover import handover_page  # noqa: PLC0415 - for a page alone

        write_asked("--html", args.html, handover_page(seen.answer, answer))
    if args.json:
        print_json(answer)
    else:
        from warmboot.report.text.handover import handover_lines  # noqa: PLC0415 - not with --json

        print_answer(handover_lines(seen.answer), indent=4)
    return ExitStatus.DONE


def _look(files: list[Path], qmp: Path | None) -> Look:
    if qmp is not None:
        if files:
            raise InputError("--qmp: a guest's memory, and a FILE as well", hint="give one of them")
        from warmboot.handover.from_qemu import look_qemu  # noqa: PLC0415 - each for its own source

        return look_qemu(qmp)
    if files:
        from warmboot.handover.from_file import look_file  # noqa: PLC0415

        return look_file(*files)
    from warmboot.handover.live import look_live  # noqa: PLC0415

    return look_live()

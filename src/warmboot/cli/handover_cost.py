"""`warmboot handover cost`: what KHO reserves on a machine, why, and which kho_scratch= is enough."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.cli.answer import document, print_json
from warmboot.cli.dump_file import print_answer
from warmboot.cli.options import (
    add_cpus,
    add_crashkernel,
    add_initrd,
    add_json,
    add_like,
    add_memory,
    facts_asked_for,
)
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import ExitStatus

if TYPE_CHECKING:
    from warmboot.handover.cost import NextKernel
    from warmboot.memmap import Facts

__all__ = ["add_parser", "run"]

_WHEN = "Use it where kho=on takes more memory than expected, or before it is switched on."
_ABOUT = """KHO keeps scratch areas in which the next kernel is loaded and starts, as all other memory may hold
something preserved. By default they are twice what this kernel reserved early, and that counts the crash reservation,
huge pages of 1 GiB and bounce buffers too. Each part is shown with its reason; sizes that Linux rounds up to 4 MiB are
predicted by its own rules, and compared with the running kernel's where those are known (debugfs, as root). At the end
is the word for the boot loader that reserves what the next kernel needs, and no more."""
_EXAMPLES = (
    "warmboot handover cost --memory 800M",
    "warmboot handover cost vmlinuz --initrd initrd.img --like host.json",
    "warmboot handover cost --memory 64G --crashkernel 512M --kho-scratch 50%",
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `cost`."""
    parser = add_command(
        subparsers,
        "cost",
        summary="what KHO reserves here, why, and how much is enough",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses={"0": "the machine has so much memory", "1": "it has not, and Linux would switch KHO off"},
    )
    add = parser.add_argument
    add("kernel", metavar="KERNEL", nargs="?", type=Path, help="the next kernel, for what it needs to start")
    add_initrd(parser)
    add("--kho-scratch", metavar="WORD", help="what kho_scratch= would be: 50%%, or three sizes (default: as it is)")
    add_like(parser)
    add_memory(parser, "this machine's")
    add_cpus(parser)
    add_crashkernel(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.handover.cost import cost  # noqa: PLC0415 - only when it runs, as below
    from warmboot.handover.scratch import parse_scratch  # noqa: PLC0415
    from warmboot.report.text.handover_cost import cost_lines  # noqa: PLC0415

    scratch = None if args.kho_scratch is None else parse_scratch(args.kho_scratch)
    found = cost(_facts(args), _next(args), scratch=scratch)
    if args.json:
        print_json(document("handover-cost", found))
    else:
        print_answer(cost_lines(found), indent=4)
    return ExitStatus.DONE if found.fits else ExitStatus.REFUSED


def _facts(args: argparse.Namespace) -> Facts:
    if args.like is not None or args.memory is not None or args.cpus is not None or args.crashkernel:
        return facts_asked_for(args)
    from warmboot.live.facts import read_facts  # noqa: PLC0415

    return read_facts()


def _next(args: argparse.Namespace) -> NextKernel:
    from warmboot.files.mapped import map_file  # noqa: PLC0415
    from warmboot.handover.next_kernel import next_kernel  # noqa: PLC0415

    initrd = sum(map_file(each, "initrd").nbytes for each in args.initrd) if args.initrd else None
    return next_kernel(args.kernel, initrd)

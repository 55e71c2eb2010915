"""`warmboot dump devices`: the devices of the kernel that a dump is of, and what shuts each of them down."""

from __future__ import annotations

import argparse

from warmboot.cli.answer import document, print_json
from warmboot.cli.dump_file import add_files, print_answer, status_of
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command

__all__ = ["add_parser", "run"]

_WHEN = "Use it to see which devices a reboot shuts down, by which function, and which go on as they run."
_ABOUT = """\
The devices are in the order in which a reboot shuts them down. FILE may be /proc/kcore: then they are those of this
computer."""
_EXAMPLES = ("warmboot dump devices crash.vmcore", "warmboot dump devices --json crash.vmcore")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `devices`."""
    parser = add_command(
        subparsers,
        "devices",
        summary="the devices, and what shuts them down",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
    )
    add_files(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.dump.devices import read_devices  # noqa: PLC0415
    from warmboot.dump.kernel import Kernel  # noqa: PLC0415
    from warmboot.dump.opening import open_dump  # noqa: PLC0415 - only when it runs, as below
    from warmboot.report.text.dump_kernel import devices_lines  # noqa: PLC0415

    answer = read_devices(Kernel(open_dump(*args.file)))
    if args.json:
        print_json(document("dump-devices", answer))
    else:
        print_answer(devices_lines(answer))
    return status_of(answer.problems, json=args.json)

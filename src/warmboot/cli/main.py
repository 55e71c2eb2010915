"""`warmboot`: the command line. Each command is a module; what it raises on purpose becomes two lines."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from warmboot import __version__
from warmboot.cli import debian, demo, facts, inspect, rehearse
from warmboot.errors import ExitStatus, WarmbootError

__all__ = ["main"]

_DESCRIPTION = """\
kexec in Python: know before you touch a machine whether a kernel will load and boot there.
"""

_EPILOG = """\
start here:
  warmboot demo                                a tiny kernel, loaded and run in this process
  warmboot rehearse /boot/vmlinuz-6.12 --initrd /boot/initrd.img-6.12
                                               load a kernel, hand over to it, boot it in QEMU
exit status:
  0 done    1 refused or failed    2 wrong usage or unreadable input
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    parser = argparse.ArgumentParser(
        prog="warmboot",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"warmboot {__version__}")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (rehearse, demo, inspect, facts, debian):
        command.add_parser(subparsers)
    args = parser.parse_args(arguments)
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except WarmbootError as error:
        if args.debug:
            raise
        print(f"warmboot: {error}\n  try: {error.hint}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.REFUSED
    return status

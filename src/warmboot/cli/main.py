"""`warmboot`: the command line. Each command is a module; what it raises on purpose becomes two lines."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from warmboot import __version__
from warmboot.errors import ExitStatus, WarmbootError

__all__ = ["main"]

# each a module of this room
# Each a module of this room.
_COMMANDS = (
    *("rehearse", "demo", "inspect", "facts", "load", "exec", "unload", "status"),
    *("record", "replay", "fuzz", "witness", "debian"),
)

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


class _Parser(argparse.ArgumentParser):
    """Wrong usage is told like every other error: what is wrong, and what helps."""

    def error(self, message: str) -> NoReturn:
        self.exit(ExitStatus.USAGE, f"warmboot: {message}\n  try: {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may be any bytes
    parser = _Parser(
        prog="warmboot",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"warmboot {__version__}")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    given = sys.argv[1:] if arguments is None else list(arguments)
    for command in _needed(given):
        import_module(f"warmboot.cli.{command}").add_parser(subparsers)
    args = parser.parse_args(given)
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
        _discard_output()
        return ExitStatus.REFUSED
    except OSError as error:  # such as a full disk behind our output; what is read has its own errors
        if args.debug:
            raise
        _discard_output()
        print(f"warmboot: {error}\n  try: warmboot --debug, which shows where it comes from", file=sys.stderr)
        return ExitStatus.REFUSED
    return status


def _needed(arguments: Sequence[str]) -> Sequence[str]:
    """The one command that is asked for, so that it need not wait for the others' imports; else all of them."""
    first = next((each for each in arguments if not each.startswith("-")), None)
    return [first] if first in _COMMANDS else _COMMANDS


def _discard_output() -> None:
    """Nothing that is still to be written can be: the interpreter's end must not try it again."""
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stdout.fileno())

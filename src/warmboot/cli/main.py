"""`warmboot`: the command line. Each command is a module; a WarmbootError becomes two lines on stderr, or JSON."""

from __future__ import annotations

import argparse
import errno
import gc
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from warmboot import __version__
from warmboot.cli.answer import error_document, print_json
from warmboot.cli.environment import VARIABLES
from warmboot.cli.options import modernized
from warmboot.cli.parser import EXIT_STATUSES, Formatter, Parser, examples_section, section
from warmboot.errors import ExitStatus, WarmbootError
from warmboot.streams import discard_unwritable, occupy_standard_descriptors
from warmboot.visible import visible

__all__ = ["COMMANDS", "main", "parse", "parser_for"]

# Each a module of this room.
COMMANDS = (
    *(
        "rehearse",
        "crashkernel",
        "check",
        "compare",
        "kdump",
        "demo",
        "inspect",
        "signature",
        "facts",
        "risks",
        "blackbox",
        "load",
        "exec",
        "time",
        "switch",
        "unload",
        "status",
    ),
    *("handover", "roll", "explain", "record", "replay", "fuzz", "witness", "debian", "dump"),
)
EXAMPLES = (
    "warmboot demo",
    "warmboot rehearse /boot/vmlinuz-6.12 --initrd /boot/initrd.img-6.12",
)
_OBJECTS = 50_000  # new ones until a collection; 700 by default
_INTERRUPTED = 128 + signal.SIGINT
_LAST_WORDS = "\n  | "  # what stands before each line of a console in a message
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    _open_streams()
    if arguments is None:  # a program: what it imports are many objects, and each collection would look at all of them
        gc.set_threshold(_OBJECTS)
    given = list(sys.argv[1:] if arguments is None else arguments)
    run = _Run(given)
    try:
        return _status(run)
    finally:
        for stream in (sys.stdout, sys.stderr):
            discard_unwritable(stream)


def _status(run: _Run) -> int:
    try:
        return run()
    except WarmbootError as error:
        if run.debug:
            raise
        return run.fails(str(error), error.hint, error.exit_status)
    except KeyboardInterrupt:
        return run.fails("interrupted", "", _INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has seen enough
        return ExitStatus.REFUSED
    except MemoryError:
        return run.fails("not enough memory", "free memory, or give less to do", ExitStatus.NOT_TRIED)
    except OSError as error:  # such as a full disk; what is read has its own errors
        if run.debug:
            raise
        return _system_failed(run, error)
    except Exception as error:  # a fault of ours: with --json an answer all the same, and the traceback goes on
        if run.json:
            what = f"a fault in warmboot: {type(error).__name__}: {error}"
            run.fails(what, "report it, with what is on standard error", ExitStatus.REFUSED)
        raise


class _Run:
    """One command, from its arguments on."""

    def __init__(self, given: list[str]) -> None:
        self._given = given
        # Needed also where the arguments cannot be parsed.
        before = given[: given.index("--")] if "--" in given else given
        self.json = "--json" in before
        self.debug = "--debug" in before
        self._uses_qemu = False

    def __call__(self) -> int:
        """The exit status. Raises WarmbootError, OSError."""
        try:
            args = parse(self._given)
        except SystemExit:
            sys.stdout.flush()  # --help may not be writable
            raise
        self._uses_qemu = getattr(args, "uses_qemu", False)
        run: Callable[..., int] = args.run
        from warmboot.files.steady import survive_cut_files  # noqa: PLC0415 - help maps no files

        survive_cut_files()
        status = run(args)
        sys.stdout.flush()
        return status

    def fails(self, problem: str, hint: str, status: int) -> int:
        """Report why there is no answer; an interrupted command prints nothing for a person."""
        try:
            if self.json:
                print_json(error_document(problem, hint, status, uses_qemu=self._uses_qemu), one_line=True)
            elif status != _INTERRUPTED:
                print("\n".join(_lines(problem, hint)), file=sys.stderr, flush=True)
        except OSError:  # there is nowhere to report it
            pass
        return status


def parse(given: list[str]) -> argparse.Namespace:
    """What the arguments ask for; `run` is the command's function. Raises InputError."""
    return parser_for(given).parse_args(modernized(given))


def _lines(problem: str, hint: str) -> list[str]:
    """What is wrong, what a guest last said if there is one, and what helps."""
    first, *last_words = problem.split(_LAST_WORDS)
    return [f"warmboot: {visible(first)}", *(f"  | {visible(each)}" for each in last_words), f"  try: {visible(hint)}"]


def parser_for(given: list[str]) -> Parser:
    """The parser of these arguments: with all commands where they name none."""
    parser = Parser(
        prog="warmboot",
        description="kexec in Python: know before you touch a machine whether a kernel will load and boot there.",
        epilog="\n\n".join(
            [examples_section(EXAMPLES), section("exit status", EXIT_STATUSES), section("environment", VARIABLES)]
        ),
        formatter_class=Formatter,
    )
    parser.add_argument("--version", action="version", version=f"warmboot {__version__}")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _needed(given):
        add_parser = import_module(f"warmboot.cli.{command}").add_parser
        if command in ("dump", "handover"):  # they have many commands of its own
            add_parser(subparsers, given)
        else:
            add_parser(subparsers)
    return parser


def _needed(arguments: Sequence[str]) -> Sequence[str]:
    """The command that is asked for, so that the others need not be imported; all of them where none is, and none for
    the version."""
    first = next((each for each in arguments if not each.startswith("-")), None)
    if first is None and "--version" in arguments:
        return ()
    return [first] if first in COMMANDS else COMMANDS


def _open_streams() -> None:
    """Open /dev/null for closed standard streams, so that no file opened later gets their descriptor."""
    occupy_standard_descriptors()
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - until the process ends
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may be any bytes


def _system_failed(run: _Run, error: OSError) -> int:
    """Report an OSError that no command expects."""
    try:
        print(flush=True)
    except OSError:  # the output itself cannot be written
        run.json = False
        return run.fails(f"the output cannot be written: {error.strerror}", "make room there", ExitStatus.REFUSED)
    status = ExitStatus.NOT_TRIED if error.errno in _NO_ROOM else ExitStatus.REFUSED
    return run.fails(str(error), "warmboot --debug, which shows where it comes from", status)

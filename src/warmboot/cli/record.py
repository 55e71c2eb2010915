"""`warmboot record`: operations played on a real kernel, as a trace on standard output."""

from __future__ import annotations

import argparse
from pathlib import Path

from warmboot.errors import ExitStatus, InputError
from warmboot.memmap import Facts, parse_size
from warmboot.oracle.calls.files import read_lines
from warmboot.oracle.calls.recorder import Recording
from warmboot.oracle.calls.trace import format_header, format_row, read_operations

__all__ = ["add_parser", "add_target", "memory_of", "run"]

_DESCRIPTION = """\
Boot a kernel in QEMU, play kexec operations inside, and print the trace: the operations with what the
kernel answered. OPERATIONS has one JSON object a line; of a trace, the operations are played again.
What was recorded before a guest died is printed all the same.
"""
_MOST_BYTES = 64 << 20  # of operations: they go into the guest


def add_target(parser: argparse.ArgumentParser) -> None:
    """The options that say which kernel on which machine."""
    parser.add_argument("--kernel", type=Path, required=True, metavar="VMLINUZ", help="the kernel to boot")
    parser.add_argument("--memory", default="1G", metavar="SIZE", help="the guest's memory (default: 1G)")
    parser.add_argument("--append", default="", metavar="TEXT", help="more of its command line, as crashkernel=128M")


def memory_of(args: argparse.Namespace) -> int:
    """--memory in bytes. Raises InputError."""
    memory = parse_size(args.memory)
    if memory < 256 << 20 or memory % (1 << 20):
        raise InputError(f"--memory {args.memory}: too little, or no whole MiB", hint="give the guest 256M or more")
    return memory


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `record`."""
    parser = subparsers.add_parser(
        "record",
        help="play kexec operations on a real kernel in QEMU",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_target(parser)
    parser.add_argument("operations", metavar="OPERATIONS", help="a file of operations, or - for standard input")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Record. Raises WarmbootError where the operations cannot be read, or the guest dies."""
    rows = read_operations(read_lines(args.operations, most_bytes=_MOST_BYTES), args.operations)
    operations = [row.operation for row in rows]
    recording = Recording(args.kernel, operations, memory=memory_of(args), append=args.append)
    answered = 0
    for each in recording.play():
        if isinstance(each, Facts):
            print(format_header(each), flush=True)
        else:
            print(format_row(operations[answered], each), flush=True)
            answered += 1
    return ExitStatus.DONE

"""`warmboot record`: operations played on a real kernel, as a trace on standard output."""

from __future__ import annotations

import argparse
from pathlib import Path

from warmboot.cli.options import add_append, add_json, add_kernel, add_memory, size_of
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import ExitStatus, InputError
from warmboot.memmap import Facts
from warmboot.oracle.calls.contents import Contents
from warmboot.oracle.calls.files import read_lines
from warmboot.oracle.calls.read_trace import read_operations
from warmboot.oracle.calls.recorder import Recording
from warmboot.oracle.calls.write_trace import format_contents, format_header, format_row

__all__ = ["QEMU_VARIABLES", "add_contents", "add_parser", "add_target", "memory_of", "run"]

QEMU_VARIABLES = ("WARMBOOT_QEMU", "WARMBOOT_ACCEL", "WARMBOOT_CACHE")
_MEMORY = "1G"
_LEAST = 256 << 20  # bytes
_MOST_BYTES = 64 << 20  # of operations: they are kept in memory, and go into the guest
_WHEN = "Use it to see what a real kernel answers to kexec calls: each is played inside it, in QEMU."
_ABOUT = """\
It prints the trace: the operations with what the kernel answered. OPERATIONS has one JSON object a line; of a trace,
the operations are played again. If the guest dies, what was recorded until then is printed."""
_EXAMPLES = (
    "warmboot record vmlinuz operations.jsonl > trace.jsonl",
    "warmboot record vmlinuz operations.jsonl --memory 4G --append crashkernel=256M",
)


def add_target(parser: argparse.ArgumentParser) -> None:
    """The options that say which kernel on which machine."""
    add_kernel(parser, "the kernel to boot")
    add_memory(parser, _MEMORY, "the guest's")
    add_append(parser, "the guest's own")
    parser.set_defaults(uses_qemu=True)


def add_contents(parser: argparse.ArgumentParser) -> None:
    """--contents."""
    parser.add_argument(
        "--contents",
        type=Path,
        metavar="FOLDER",
        help="where files lie, by their SHA-256, that kexec_file_load is given and the trace does not hold",
    )


def memory_of(args: argparse.Namespace) -> int:
    """--memory in bytes. Raises InputError."""
    text = _MEMORY if args.memory is None else args.memory
    memory = size_of("--memory", text)
    if memory < _LEAST or memory % (1 << 20):
        raise InputError(f"--memory {text}: too little, or no whole MiB", hint="give the guest 256M or more")
    return memory


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `record`."""
    parser = add_command(
        subparsers,
        "record",
        summary="play kexec operations on a real kernel in QEMU",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        environment=QEMU_VARIABLES,
    )
    add_target(parser)
    parser.add_argument("operations", metavar="OPERATIONS", help="a file of operations, or - for standard input")
    add_contents(parser)
    add_json(parser, "print JSON Lines, as it always does")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Record. Raises WarmbootError where the operations cannot be read, or the guest dies."""
    contents = Contents(args.contents)
    rows = read_operations(read_lines(args.operations, most_bytes=_MOST_BYTES), args.operations, contents)
    operations = [row.operation for row in rows]
    recording = Recording(args.kernel, operations, memory=memory_of(args), append=args.append, contents=contents)
    answered = 0
    for each in recording.play():
        if isinstance(each, Facts):
            print(format_header(each, operations), flush=True)
            for line in format_contents(operations, contents):
                print(line)
        else:
            print(format_row(operations[answered], each), flush=True)
            answered += 1
    return ExitStatus.DONE

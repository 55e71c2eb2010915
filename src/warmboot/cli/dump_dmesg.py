"""`warmboot dump dmesg`: the kernel's log."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from warmboot.cli.answer import document, print_json
from warmboot.cli.dump_file import add_files
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.dump.interface import DumpError
from warmboot.errors import ExitStatus

if TYPE_CHECKING:
    from warmboot.dump.source import Source

__all__ = ["add_parser", "run"]

_WHEN = "Use it to read what the kernel said before it crashed."
_ABOUT = """\
It prints what vmcore-dmesg prints; each line of a message has its time. Control characters are shown as \\xNN.
Where VMCOREINFO had to be searched for, it says where it was found. A file without a kernel may have what ramoops kept
over a reset: the last records of the log, the console, pmsg."""
_EXAMPLES = ("warmboot dump dmesg crash.vmcore", "warmboot dump dmesg --json /proc/vmcore")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `dmesg`."""
    parser = add_command(
        subparsers, "dmesg", summary="the log of the kernel that crashed", when=_WHEN, about=_ABOUT, examples=_EXAMPLES
    )
    add_files(parser)
    parser.add_argument("--ramoops", action="store_true", help="what persistent RAM has kept, not the log itself")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.dump.interface import NoDumpError  # noqa: PLC0415 - only when it runs, as below
    from warmboot.dump.opening import open_dump  # noqa: PLC0415

    try:
        source = open_dump(*args.file)
    except NoDumpError:
        if len(args.file) == 1 and args.file[0].is_file() and _kept(args, None):
            return ExitStatus.DONE
        raise
    if args.ramoops:
        if not _kept(args, source):
            raise DumpError("no zone of persistent RAM was found", hint="leave out --ramoops for the kernel's own log")
        return ExitStatus.DONE
    return _log(args, source)


def _kept(args: argparse.Namespace, source: Source | None) -> bool:
    """Print what ramoops kept; whether there was any."""
    from warmboot.dump.printk_ringbuffer import LogAnswer  # noqa: PLC0415
    from warmboot.dump.ramoops import zones_of, zones_of_file  # noqa: PLC0415
    from warmboot.report.text.dump_log import zone_lines  # noqa: PLC0415
    from warmboot.report.text.terminal import Terminal  # noqa: PLC0415

    zones = zones_of_file(args.file[0]) if source is None else zones_of(source)
    if args.json and zones:
        release = "" if source is None else source.vmcoreinfo.release
        print_json(document("dump-dmesg", LogAnswer(release, (), None, None, tuple(zones))))
        return True
    terminal, errors = Terminal(), Terminal(sys.stderr)
    for zone in zones:
        title, *lines = zone_lines(zone)
        errors.line(title)
        for line in lines:
            terminal.line(line)
    return bool(zones)


def _log(args: argparse.Namespace, source: Source) -> int:
    from warmboot.dump.log import log_text, read_log  # noqa: PLC0415

    found_at = source.vmcoreinfo.found_at
    if args.json:
        from warmboot.dump.printk_ringbuffer import LogAnswer, LogLine  # noqa: PLC0415

        records, problem = read_log(source)
        lines = tuple(LogLine(each.time, each.caller, each.text.decode("utf-8", "replace")) for each in records)
        print_json(document("dump-dmesg", LogAnswer(source.vmcoreinfo.release, lines, problem, found_at)))
        return ExitStatus.REFUSED if problem else ExitStatus.DONE
    if found_at is not None:
        sys.stderr.write(f"warmboot: VMCOREINFO is in no header; it was found in memory at {found_at:#x}\n")
    for line in log_text(source):
        print(line)
    return ExitStatus.DONE

"""`warmboot load`: load a kernel on this computer, and see everything on the way."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from warmboot.errors import InputError
from warmboot.live.cmdline import concatenated, reused
from warmboot.loading.load import Call, LoadOptions, load
from warmboot.report.json.result import result_members
from warmboot.report.text.stages import TextReport
from warmboot.stages import Result, Silent

__all__ = ["add_parser", "run"]

_DESCRIPTION = """\
Load a kernel on this computer, as root; 'warmboot exec' starts it. Before the running kernel is
asked, the model of it is asked with this computer's facts: each check is told, and a refusal
has its reason. The drop-in `kexec` does the same in kexec-tools' words.
"""

_EPILOG = """\
stages:
  inspect    what the file is and what it needs
  place      where its parts go, with a picture of memory
  permit     each check that the running kernel will make, by name, made by the model
  load       the system call

examples:
  warmboot load /boot/vmlinuz-6.12 --initrd /boot/initrd.img-6.12 --reuse-command-line
  warmboot load vmlinuz --initrd initrd.img --command-line "root=/dev/vda1 ro" --dry-run
  warmboot load /boot/vmlinuz-6.12 --initrd kdump.img --reuse-command-line --append "nr_cpus=1" --panic

exit status:
  0 it is loaded, or would be (--dry-run)    1 refused    2 unusable input
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `load`."""
    parser = subparsers.add_parser(
        "load",
        help="load a kernel on this computer",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("kernel", metavar="KERNEL", type=Path, help="a bzImage, ELF, multiboot or unified kernel image, packed or not")
    add("--initrd", metavar="FILE", type=Path, action="append", default=[], help="several are joined")
    add("--module", metavar="'FILE WORDS'", action="append", default=[], help="a module of a multiboot kernel")
    add("--command-line", metavar="TEXT", help="the new kernel's command line")
    add("--reuse-command-line", action="store_true", help="take the running kernel's, but for its boot loader's part")
    add("--append", metavar="TEXT", help="add to either")
    add("--panic", action="store_true", help="as the crash kernel, into the memory that is reserved for it")
    add("--call", choices=[each.value for each in Call], default=Call.AUTO, help="the system call (default: auto)")
    add("--dry-run", action="store_true", help="stop before the system call")
    add("--json", action="store_true", help="print everything as one JSON object at the end")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    options = LoadOptions(
        kernel=args.kernel,
        initrds=args.initrd,
        modules=args.module,
        command_line=_command_line(args),
        panic=args.panic,
        call=Call(args.call),
        dry_run=args.dry_run,
    )
    if args.json:
        result: Result = load(options, Silent())
        print(json.dumps(result_members(result), indent=2))
        return result.exit_status
    report = TextReport()
    try:
        result = load(options, report)
    finally:
        report.close()
    report.verdict(result)
    return result.exit_status


def _command_line(args: argparse.Namespace) -> str:
    if args.command_line is not None and args.reuse_command_line:
        raise InputError(
            "--command-line and --reuse-command-line are two command lines", hint="leave one out, or use --append"
        )
    base: str | None = args.command_line
    if args.reuse_command_line:
        try:
            base = reused(panic=args.panic)
        except OSError as error:
            raise InputError(f"/proc/cmdline: {error.strerror}", hint="mount /proc") from None
    return concatenated(base, args.append) or ""

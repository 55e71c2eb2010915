"""`warmboot rehearse`: does this kernel load and boot on such a machine?"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from warmboot.errors import InputError, RefusedError
from warmboot.kernel.call import Call
from warmboot.memmap import Facts, parse_size
from warmboot.rehearsal.options import CommandLineRequest, Options
from warmboot.rehearsal.rehearse import rehearse
from warmboot.report.json.result import result_members
from warmboot.report.text.stages import TextReport
from warmboot.stages import Result, Silent

__all__ = ["add_parser", "run"]

_LONGEST_TIMEOUT = 1e6  # seconds

_DESCRIPTION = """\
Answer one question: if I kexec this kernel, with this initrd and command line, on such a
machine, does it load, and does it boot?

It needs no privilege and touches nothing of this computer: the kernel is loaded by a model of
Linux's own kexec into the memory of a machine that exists only here, the code that hands over
to it is executed, and the same memory is booted in QEMU.
"""

_EPILOG = """\
stages:
  inspect    what the file is and what it needs
  place      where its parts go
  permit     each check that the running kernel makes, by name
  load       bytes, page-list entries and pages
  hand over  relocation code and purgatory, up to the kernel's first instruction
  boot       the kernel's console in QEMU, until user space, --until, a panic or --timeout

examples:
  warmboot rehearse /boot/vmlinuz-6.12 --initrd /boot/initrd.img-6.12 --append "root=/dev/vda1 ro"
  warmboot rehearse vmlinuz --initrd base.img --initrd more.img --memory 4G --until "login:"
  warmboot facts > host.json                         on the machine itself, as root
  warmboot rehearse vmlinuz --like host.json --json  anywhere else

exit status:
  0 it loads and boots    1 refused or failed    2 unusable input    3 the boot could not be tried
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `rehearse`."""
    parser = subparsers.add_parser(
        "rehearse",
        help="does this kernel load and boot on such a machine?",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("kernel", metavar="KERNEL", type=Path, help="a bzImage, ELF, multiboot or unified kernel image, packed or not")
    add(
        "--initrd",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="an initial RAM disk; several are joined",
    )
    add("--module", metavar="'FILE WORDS'", action="append", default=[], help="a module of a multiboot kernel")
    add("--append", metavar="TEXT", default="", help="add to the new kernel's command line")
    add("--command-line", metavar="TEXT", help="the new kernel's command line, in place of a unified image's own")
    add("--call", choices=[each.value for each in Call], default=Call.AUTO, help="the system call (default: auto)")
    add("--panic", action="store_true", help="load it as the crash kernel, into the memory reserved for it")
    add("--profile", metavar="NAME", help="the running kernel's rules (default: by its release)")
    add("--memory", metavar="SIZE", help="RAM of the machine (default: 1G)")
    add("--cpus", metavar="N", type=int, help="the processors that boot (default: 2)")
    add("--crashkernel", metavar="SIZE", help="memory that its kernel has reserved for a crash kernel (default: none)")
    add("--like", metavar="FACTS.json", type=Path, help="take the machine from facts, see 'warmboot facts'")
    add("--no-boot", action="store_true", help="stop at the new kernel's entry point")
    add("--until", metavar="TEXT", help="boot until TEXT is on the console, instead of until user space")
    add("--timeout", metavar="S", type=float, default=120.0, help="seconds that the boot may take (default: 120)")
    add("--console", metavar="FILE", type=Path, help="write the new kernel's console to FILE, not among the stages")
    add("--json", action="store_true", help="print everything as one JSON object at the end")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    facts = _machine(args)
    if not 0 < args.timeout <= _LONGEST_TIMEOUT:
        raise InputError(
            f"--timeout {args.timeout:g}: not from 0 to {_LONGEST_TIMEOUT:g} seconds", hint="give seconds, such as 120"
        )
    if args.until == "":
        raise InputError("--until: an empty text is on every console", hint="give a text, such as login:")
    options = Options(
        kernel=args.kernel,
        facts=facts,
        initrds=args.initrd,
        command_line=CommandLineRequest(args.append, args.command_line),
        modules=args.module,
        call=Call(args.call),
        panic=args.panic,
        profile=args.profile,
        cpus=args.cpus,
        boot=not args.no_boot,
        until=args.until,
        timeout=args.timeout,
        console=args.console,
    )
    if args.json:
        try:
            result = rehearse(options, Silent())
        except RefusedError as error:  # before the first stage: no such machine can be made
            result = Result([], str(error), error.hint, error.exit_status)
        print(_as_json(result))
        return result.exit_status
    report = TextReport(show_console=args.console is None)
    try:
        result = rehearse(options, report)
    finally:
        report.close()
    report.verdict(result)
    return result.exit_status


def _machine(args: argparse.Namespace) -> Facts:
    if args.cpus is not None and not 1 <= args.cpus <= 255:
        raise InputError(
            f"--cpus {args.cpus}: not from 1 to 255", hint="2 are enough to see secondary processors start"
        )
    if args.like is None:
        memory = parse_size("1G" if args.memory is None else args.memory)
        crashkernel = parse_size("0" if args.crashkernel is None else args.crashkernel)
        return Facts.of_pc(memory, cpus=args.cpus or 2, crashkernel=crashkernel)
    if args.memory is not None or args.crashkernel is not None:
        raise InputError(
            "--like already says how much memory there is and what is reserved",
            hint="leave out --memory and --crashkernel, or --like",
        )
    try:
        text = args.like.read_bytes()
    except OSError as error:
        raise InputError(f"{args.like}: cannot be read: {error.strerror}", hint="check the path") from None
    return Facts.from_json(text, str(args.like))


def _as_json(result: Result) -> str:
    return json.dumps(result_members(result), indent=2)

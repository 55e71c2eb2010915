"""`warmboot rehearse`: does this kernel load and boot on such a machine?"""

from __future__ import annotations

import argparse
from pathlib import Path

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import (
    add_append,
    add_call,
    add_cpus,
    add_crashkernel,
    add_initrd,
    add_json,
    add_kernel,
    add_like,
    add_memory,
    add_module,
    add_panic,
    add_profile,
    add_replace,
    command_line_request,
    facts_asked_for,
)
from warmboot.cli.parser import Subparsers, add_command, section
from warmboot.errors import InputError
from warmboot.kernel.call import Call
from warmboot.rehearsal.options import Options
from warmboot.rehearsal.rehearse import rehearse
from warmboot.report.json.result import result_members
from warmboot.report.text.stages import TextReport
from warmboot.stages import Silent

__all__ = ["add_parser", "run"]

_LONGEST_TIMEOUT = 1e6  # seconds
_TIMEOUT = 120.0  # seconds

_WHEN = """\
Use it before you kexec a kernel on a machine: does it load there, with this initrd and command line, and does it
boot?"""
_ABOUT = """\
It needs no privilege and touches nothing of this computer: the kernel is loaded by a model of Linux's own kexec into
the memory of a machine that exists only here, the code that hands over to it is executed, and the same memory is booted
in QEMU."""
_STAGES = {
    "inspect": "what the file is and what it needs",
    "place": "where its parts go",
    "permit": "each check that the running kernel makes, by name",
    "load": "bytes, page-list entries and pages",
    "hand over": "relocation code and purgatory, up to the kernel's first instruction",
    "boot": "the kernel's console in QEMU, until user space, --until, a panic or --timeout",
}
_EXAMPLES = (
    'warmboot rehearse /boot/vmlinuz-6.12 --initrd /boot/initrd.img-6.12 --append "root=/dev/vda1 ro"',
    'warmboot rehearse vmlinuz --initrd base.img --initrd more.img --memory 4G --until "login:"',
    "warmboot rehearse vmlinuz --initrd initrd.img --like host.json --json",
    "warmboot rehearse vmlinuz --initrd kdump.img --panic --crashkernel 512M-2G:64M,2G-:128M",
    "warmboot rehearse xen.gz --module 'vmlinuz console=hvc0' --module initrd.img --memory 4G --no-boot",
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `rehearse`."""
    parser = add_command(
        subparsers,
        "rehearse",
        summary="does this kernel load and boot on such a machine?",
        when=_WHEN,
        about=_ABOUT,
        sections=[section("stages", _STAGES)],
        examples=_EXAMPLES,
        statuses={"0": "it loads and boots, or with --no-boot reaches its entry point"},
        environment=("WARMBOOT_QEMU", "WARMBOOT_OVMF", "WARMBOOT_ACCEL", "WARMBOOT_CONSOLE_LIMIT"),
    )
    add = parser.add_argument
    add_kernel(parser, "a bzImage such as /boot/vmlinuz-*, an ELF, multiboot or unified kernel image, packed or not")
    add_initrd(parser)
    add_module(parser)
    add_replace(parser)
    add_append(parser)
    add_panic(parser, "load it as the crash kernel, into the memory that is reserved for it; it is not started")
    add_call(parser, [each.value for each in Call])
    add_profile(parser)
    add_like(parser)
    add_memory(parser, "1G")
    add_cpus(parser)
    add_crashkernel(parser)
    add("--no-boot", action="store_true", help="stop at the new kernel's entry point; needs no QEMU")
    add("--until", metavar="TEXT", help="boot until TEXT is on the console, instead of until user space")
    add("--timeout", metavar="S", type=float, default=_TIMEOUT, help="seconds that the boot may take (default: 120)")
    add("--console", metavar="FILE", type=Path, help="write the new kernel's console to FILE, not among the stages")
    add_json(parser, "print one JSON object at the end")
    parser.set_defaults(run=run, uses_qemu=True)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError where there is nothing to rehearse."""
    if not 0 < args.timeout <= _LONGEST_TIMEOUT:
        raise InputError(
            f"--timeout {args.timeout:g}: not from 0 to {_LONGEST_TIMEOUT:g} seconds", hint="give seconds, such as 120"
        )
    if args.until == "":
        raise InputError("--until: an empty text is on every console", hint="give a text, such as login:")
    options = _options(args)
    if args.json:
        result = rehearse(options, Silent())
        print_json(document("rehearse", result_members(result), uses_qemu=options.boot))
        return result.exit_status
    report = TextReport(show_console=args.console is None)
    try:
        result = rehearse(options, report)
    finally:
        report.close()
    report.verdict(result)
    return result.exit_status


def _options(args: argparse.Namespace) -> Options:
    return Options(
        kernel=args.kernel,
        facts=facts_asked_for(args),
        initrds=args.initrd,
        command_line=command_line_request(args),
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

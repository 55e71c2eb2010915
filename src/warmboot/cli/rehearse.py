"""`warmboot rehearse`: does this kernel load and boot on such a machine?"""

from __future__ import annotations

import argparse
from pathlib import Path

from warmboot.cli.options import (
    add_append,
    add_call,
    add_cpus,
    add_crashkernel,
    add_digest,
    add_html,
    add_initrd,
    add_json,
    add_junit,
    add_kernel,
    add_like,
    add_memory,
    add_module,
    add_panic,
    add_profile,
    add_replace,
    add_unpack,
    command_line_request,
    facts_asked_for,
)
from warmboot.cli.parser import Subparsers, add_command, section
from warmboot.cli.rehearse_crash import add_crash, check_no_crash, run_crash
from warmboot.cli.rehearse_handover import add_handover, check_no_handover, run_handover
from warmboot.cli.staged import run_staged
from warmboot.errors import InputError
from warmboot.kernel.call import Call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.rehearsal.options import Options

__all__ = ["add_parser", "run"]

_LONGEST_TIMEOUT = 1e6  # seconds
_TIMEOUT = 120.0  # seconds

_WHEN = """\
Use it before you kexec a kernel on a machine: does it load there, with this initrd and command line, and does it
boot?"""
_ABOUT = """\
It needs no privilege and changes nothing on this computer: the kernel is loaded by a model of Linux's own kexec into
the memory of a machine that exists only here, the code that hands over to it is executed, and the same memory is booted
in QEMU. With --crash it answers another question: would this machine give a dump if it crashed? With --handover a
third: does what a service preserves over a live update (KHO, LUO) arrive in the next kernel?"""
_STAGES = {
    "inspect": "what the file is and what it needs",
    "risks": "an initrd that is cut, a mem= that leaves too little; where there is nothing to tell, no stage",
    "place": "where its parts go",
    "permit": "each check that the running kernel makes, by name",
    "load": "bytes, page-list entries and pages",
    "hand over": "relocation code and purgatory, up to the kernel's first instruction",
    "boot": "the kernel's console in QEMU, until user space, --until, a panic or --timeout",
}
_CRASH_STAGES = {
    "reserve": "KERNEL's user space, and where its reservation is",
    "load": "the capture kernel in it, by the system call",
    "crash": "what it died of",
    "capture": "the capture kernel's times and memory",
    "dump": "what is found in the dump: pieces, panic, registers, a process's pattern, a logged message",
}
_HANDOVER_STAGES = {
    "preserve": "the first kernel, and what is preserved in it when the script has done its part, by owner",
    "load": "the second kernel by kexec_file_load, and whether the model puts it where the first kernel did",
    "hand over": "the jump: its time, and what the second kernel says of the handover",
    "compare": "what is preserved, before and after, byte for byte",
    "retrieve": "the script's own second part",
}
_EXAMPLES = (
    'warmboot rehearse /boot/vmlinuz-6.12 --initrd /boot/initrd.img-6.12 --append "root=/dev/vda1 ro"',
    'warmboot rehearse vmlinuz --initrd base.img --initrd more.img --memory 4G --until "login:"',
    "warmboot rehearse vmlinuz --initrd initrd.img --like host.json --json",
    "warmboot rehearse vmlinuz --initrd initrd.img --html page.html",
    "warmboot rehearse vmlinuz --initrd kdump.img --panic --crashkernel 512M-2G:64M,2G-:128M",
    "warmboot rehearse vmlinuz --crash --crashkernel 256M --capture-initrd kdump.img",
    "warmboot rehearse vmlinuz --crash --crash-by nmi --save vmcore",
    "warmboot rehearse vmlinuz-new --first vmlinuz-old --handover service.py",
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
        sections=[
            section("stages", _STAGES),
            section("stages of --crash", _CRASH_STAGES),
            section("stages of --handover", _HANDOVER_STAGES),
        ],
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
    add_digest(parser)
    add(
        "--no-blackbox",
        action="store_true",
        help="the purgatory marks nothing; else its marks, in a free page, tell what stopped it",
    )
    add_unpack(parser)
    add_profile(parser)
    add_like(parser)
    add_memory(parser, "1G")
    add_cpus(parser)
    add_crashkernel(parser)
    add("--no-boot", action="store_true", help="stop at the new kernel's entry point; needs no QEMU")
    add("--until", metavar="TEXT", help="boot until TEXT is on the console, instead of until user space")
    add("--timeout", metavar="S", type=float, default=_TIMEOUT, help="seconds that the boot may take (default: 120)")
    add(
        "--console", metavar="FILE", type=Path, help="write the new kernel's console to FILE instead of showing it here"
    )
    add_html(parser)
    add_junit(parser)
    add_json(parser, "print one JSON object at the end")
    add_crash(parser)
    add_handover(parser)
    parser.set_defaults(run=run, uses_qemu=True)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError where there is nothing to rehearse."""
    if not 0 < args.timeout <= _LONGEST_TIMEOUT:
        raise InputError(
            f"--timeout {args.timeout:g}: not from 0 to {_LONGEST_TIMEOUT:g} seconds", hint="give seconds, such as 120"
        )
    if args.until == "":
        raise InputError("--until: an empty text is on every console", hint="give a text, such as login:")
    if args.handover is not None:
        return run_handover(args)
    check_no_handover(args)
    if args.crash:
        return run_crash(args)
    check_no_crash(args)
    from warmboot.rehearsal.rehearse import rehearse  # noqa: PLC0415 - only when it runs, as below

    options = _options(args)
    return run_staged(
        "rehearse",
        args,
        lambda observer: rehearse(options, observer),
        uses_qemu=options.boot,
        show_console=args.console is None,
        facts=lambda: options.facts,
    )


def _options(args: argparse.Namespace) -> Options:
    from warmboot.rehearsal.options import Options  # noqa: PLC0415

    return Options(
        kernel=args.kernel,
        facts=facts_asked_for(args),
        initrds=args.initrd,
        command_line=command_line_request(args),
        modules=args.module,
        call=Call(args.call),
        digest=args.digest,
        blackbox=not args.no_blackbox,
        unpack=args.unpack,
        panic=args.panic,
        profile=args.profile,
        cpus=args.cpus,
        boot=not args.no_boot,
        until=args.until,
        timeout=args.timeout,
        console=args.console,
    )

"""`warmboot load`: load a kernel on this computer, and see everything on the way."""

from __future__ import annotations

import argparse

from warmboot.cli.options import (
    add_append,
    add_blackbox,
    add_call,
    add_digest,
    add_html,
    add_initrd,
    add_json,
    add_junit,
    add_kernel,
    add_module,
    add_panic,
    add_profile,
    add_replace,
    add_rescue,
    add_unpack,
    command_line_request,
)
from warmboot.cli.parser import Subparsers, add_command, section
from warmboot.cli.staged import run_staged
from warmboot.errors import InputError
from warmboot.kernel.call import Call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.placement.command_line import CommandLineRequest

__all__ = ["add_parser", "run"]

_WHEN = "Use it, as root, to load a kernel on this computer and see each step; 'warmboot exec' starts it."
_ABOUT = """\
Before the system call is made, the model of the kernel makes the same checks with this computer's facts: each check is
shown by name, and a refusal has its reason. The drop-in `kexec` prints kexec-tools' messages instead."""
_STAGES = {
    "inspect": "what the file is and what it needs",
    "place": "where its parts go, with a picture of memory",
    "permit": "each check that the running kernel will make, by name, made by the model",
    "risks": "what may fail after the jump on this computer; nothing is refused for it",
    "load": "the system call",
}
_EXAMPLES = (
    "warmboot load /boot/vmlinuz-6.12 --initrd /boot/initrd.img-6.12 --reuse-command-line",
    'warmboot load vmlinuz --initrd initrd.img --command-line "root=/dev/vda1 ro" --dry-run',
    'warmboot load /boot/vmlinuz-6.12 --initrd kdump.img --reuse-command-line --append "nr_cpus=1" --panic',
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `load`."""
    parser = add_command(
        subparsers,
        "load",
        summary="load a kernel on this computer",
        when=_WHEN,
        about=_ABOUT,
        sections=[section("stages", _STAGES)],
        examples=_EXAMPLES,
        statuses={"0": "it is loaded, or with --dry-run would be"},
    )
    add = parser.add_argument
    add_kernel(parser, "a bzImage, ELF, multiboot or unified kernel image, packed or not")
    add_initrd(parser)
    add_module(parser)
    add_replace(parser)
    add(
        "--reuse-command-line",
        action="store_true",
        help="the running kernel's, without the boot loader's BOOT_IMAGE",
    )
    add_append(parser)
    add_panic(parser, "load it as the crash kernel, into the memory that is reserved for it")
    add_call(parser, [each.value for each in Call])
    add_digest(parser)
    add_blackbox(
        parser,
        "auto, as page where there is one",
        "page, which this kernel or ramoops keeps free, a physical address, or cmos",
    )
    add_unpack(parser)
    add_profile(parser)
    add_rescue(
        parser,
        "have a panic reset the machine (panic=10 is added), and its watchdog where the new kernel does not report"
        " within TIME of 'warmboot exec' (default: 5m); refused where no watchdog outlives the jump",
    )
    add("--dry-run", action="store_true", help="stop before the system call")
    add_html(parser)
    add_junit(parser)
    add_json(parser, "print one JSON object at the end")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.live.facts import read_facts  # noqa: PLC0415 - only when it runs, as below
    from warmboot.loading.load import LoadOptions, load  # noqa: PLC0415

    options = LoadOptions(
        kernel=args.kernel,
        initrds=args.initrd,
        modules=args.module,
        command_line=_command_line(args),
        panic=args.panic,
        call=Call(args.call),
        digest=args.digest,
        blackbox=args.blackbox,
        unpack=args.unpack,
        profile=args.profile,
        dry_run=args.dry_run,
        rescue=args.rescue,
    )
    return run_staged("load", args, lambda observer: load(options, observer), facts=read_facts)


def _command_line(args: argparse.Namespace) -> CommandLineRequest:
    if not args.reuse_command_line:
        return command_line_request(args)
    if args.command_line is not None:
        raise InputError(
            "--command-line and --reuse-command-line are two command lines", hint="leave one out, or use --append"
        )
    from warmboot.live.cmdline import reused  # noqa: PLC0415

    try:
        return command_line_request(args, reused=reused(panic=args.panic))
    except OSError as error:
        raise InputError(f"/proc/cmdline: {error.strerror}", hint="mount /proc") from None

"""`warmboot unload`: forget what is loaded on this computer."""

from __future__ import annotations

import argparse

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import add_json, add_panic
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import RefusedError
from warmboot.live import status
from warmboot.uapi.numbers import KEXEC_FILE_ON_CRASH, KEXEC_ON_CRASH

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `unload`."""
    parser = add_command(
        subparsers,
        "unload",
        summary="forget the kernel that is loaded",
        when="Use it, as root, to forget what 'warmboot load' or 'kexec -l' loaded.",
        examples=("warmboot unload", "warmboot unload --panic"),
    )
    add_panic(parser, "forget the crash kernel instead")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Unload. Raises RefusedError where the kernel refuses."""
    from warmboot.live.calls import LiveError, kexec_file_unload, kexec_unload  # noqa: PLC0415 - loads the C library

    what = "crash image" if args.panic else "image"
    before = status.crash_loaded() if args.panic else status.loaded()
    try:
        kexec_unload(KEXEC_ON_CRASH if args.panic else 0)
    except LiveError as first:
        try:  # lockdown forbids the first call even for this
            kexec_file_unload(KEXEC_FILE_ON_CRASH if args.panic else 0)
        except LiveError:
            raise RefusedError(f"the {what} cannot be unloaded: {first}", hint=_hint(first.errno)) from None
    if args.json:
        from warmboot.report.json.documents import UnloadAnswer  # noqa: PLC0415

        print_json(document("unload", UnloadAnswer(what, before)))
    else:
        print(f"the {what} is unloaded" if before else f"no {what} was loaded")
    return 0


def _hint(errno: int | None) -> str:
    return {
        1: "run it as root; where kernel.kexec_load_disabled is 1 nothing can be unloaded either",
        16: "another load or kexec is under way: try again",
        38: "the running kernel is built without kexec (CONFIG_KEXEC)",
    }.get(errno or 0, "see the kernel's log: dmesg")

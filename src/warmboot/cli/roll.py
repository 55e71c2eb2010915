"""`warmboot roll`: a kernel switch over many machines."""

from __future__ import annotations

import argparse
from importlib import import_module

from warmboot.cli.parser import Subparsers, add_command

__all__ = ["ROLL_COMMANDS", "add_parser"]

ROLL_COMMANDS = ("start", "resume", "status", "report")

_WHEN = (
    "Use it to switch a fleet to another kernel by kexec: canaries first, then batches, and never on after a failure."
)
_ABOUT = """\
Machines are reached by Ansible, with its inventory. Each is asked what runs there; the model checks that the kernel
would load on every one, and QEMU that it boots from each release that runs; only then is the first machine touched.
What was done is in a journal before the next step begins, so that a roll that was stopped or killed is resumed."""
_EXAMPLES = (
    "warmboot roll start vmlinuz --initrd initrd.img -i inventory.ini --dry-run",
    "warmboot roll status",
    "warmboot roll resume",
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `roll` with its commands."""
    parser = add_command(
        subparsers,
        "roll",
        summary="switch a fleet to another kernel, canary first",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
    )
    commands = parser.add_subparsers(dest="roll_command", metavar="COMMAND", required=True)
    for name in ROLL_COMMANDS:
        import_module(f"warmboot.cli.roll_{name}").add_parser(commands)

"""`warmboot facts`: a machine as one JSON object, for a rehearsal elsewhere."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import InputError
from warmboot.live.facts import read_facts
from warmboot.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warmboot.memmap import Facts

__all__ = ["add_parser", "run"]

_WHEN = """\
Use it, as root, on the machine in question, to rehearse elsewhere what a kexec does there; with HOST to ask other
machines over ssh, and with --from for what somebody else sent."""
_ABOUT = """\
It prints one JSON object with what decides whether an image loads: the memory map, the kernel's release and settings.
With hosts it prints one line for each; nothing but a POSIX shell is needed there, and ssh has to work without a
question. It contains no secrets except physical addresses and the kernel's command line. What is missing, and is
assumed, is listed on standard error."""
_EXAMPLES = (
    "warmboot facts > host.json",
    "warmboot facts root@web1 root@web2 > fleet.jsonl",
    "warmboot facts --from iomem.txt dmesg.txt > host.json",
    "warmboot facts --from sosreport-web1.tar.xz > host.json",
    "warmboot rehearse vmlinuz --like host.json --no-boot",
)
_TIMEOUT, _LONGEST = 30.0, 3600.0  # seconds


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `facts`."""
    parser = add_command(
        subparsers,
        "facts",
        summary="this machine, or others, as JSON, for a rehearsal elsewhere",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses={"3": "a host cannot be reached: the others are printed all the same"},
    )
    add = parser.add_argument
    add("hosts", metavar="HOST", nargs="*", help="machines to ask over ssh, as HOST or USER@HOST (default: this one)")
    add(
        "--from",
        dest="files",
        metavar="FILE",
        nargs="+",
        help="files of one machine: /proc/iomem, a kernel log with its e820 lines, an sosreport (folder or archive)",
    )
    add("--timeout", metavar="S", type=float, help="seconds for each host (default: 30)")
    add("--ssh-config", metavar="FILE", help="ssh's configuration, as for ssh -F")
    add_json(parser, "print JSON, as it always does")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the facts. Raises WarmbootError where they cannot be read."""
    if args.files and args.hosts:
        raise InputError("facts are either of hosts or --from files", hint="leave one out")
    timeout = _TIMEOUT if args.timeout is None else args.timeout
    if not 0 < timeout <= _LONGEST:
        raise InputError(f"--timeout {timeout:g}: not from 0 to {_LONGEST:g} seconds", hint="such as 30")
    if not args.hosts and (args.ssh_config is not None or args.timeout is not None):
        raise InputError("--timeout and --ssh-config are about hosts", hint="name a HOST, or leave them out")
    if args.hosts:
        return _hosts(args, timeout)
    if args.files:
        from warmboot.live.from_files import facts_from  # noqa: PLC0415 - only --from needs it

        facts, lacked = facts_from(args.files)
        _say(lacked)
        print_json(document("facts", facts.members() | {"name": "", "hostname": "", "lacked": lacked}))
        return 0
    try:
        print_json(document("facts", read_facts().members()))
    except InputError:
        if os.geteuid() == 0:
            raise
        facts, lacked = _without_root()
        _say(lacked)
        print_json(document("facts", facts.members() | {"name": "", "hostname": "", "lacked": lacked}))
    return 0


def _hosts(args: argparse.Namespace, timeout: float) -> int:
    from warmboot.live.over_ssh import facts_over_ssh  # noqa: PLC0415 - only hosts need it

    status = 0
    for each in facts_over_ssh(args.hosts, timeout=timeout, config=args.ssh_config):
        if each.facts is None:
            if each.error is not None:
                print(f"warmboot: {visible(str(each.error))}\n  try: {visible(each.error.hint)}", file=sys.stderr)
                status = max(status, int(each.error.exit_status))
            continue
        _say(each.lacked, f"{each.host}: ")
        more = {"name": each.host, "hostname": visible(each.hostname, most=80), "lacked": list(each.lacked)}
        print_json(document("facts", each.facts.members() | more), one_line=True)
    return status


def _without_root() -> tuple[Facts, list[str]]:
    """What everybody can read, with the memory map of the kernel log. Raises InputError."""
    from warmboot.live.gathered import SCRIPT, facts_of, read_gathered  # noqa: PLC0415 - only without root
    from warmboot.programs import clean_environment  # noqa: PLC0415

    try:
        done = subprocess.run(
            ["/bin/sh", "-s"],
            input=SCRIPT.encode(),
            capture_output=True,
            env=clean_environment(),
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"facts: {visible(str(error), most=80)}", hint="run it as root") from None
    try:
        return facts_of(read_gathered(done.stdout, "facts"), "facts")
    except InputError as error:
        if "no memory map" not in str(error):
            raise
        raise InputError(
            "facts: /proc/iomem has no addresses for this user, and the kernel log cannot be read or has no e820 lines",
            hint="sudo warmboot facts",
        ) from None


def _say(lacked: Iterable[str], whose: str = "") -> None:
    for each in lacked:
        print(f"warmboot: {whose}lacking: {visible(each)}", file=sys.stderr)

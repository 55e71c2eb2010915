"""`warmboot risks`: what a kexec of this computer may run into after the jump."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command, section
from warmboot.errors import InputError, WarmbootError

__all__ = ["add_parser", "run"]

_WHEN = "Use it, as root, before a kexec of this computer: it tells what may fail after the jump."
_ABOUT = """\
Firmware is not run in between, so that devices are as the old kernel leaves them. Which devices it shuts down is read
from its own memory, /proc/kcore, with the types that it carries (BTF), or where that is closed from a table of Linux's
drivers; the rest from /proc and /sys. Nothing is changed. 'warmboot load' tells the same by the table, 'warmboot check'
of many machines, and 'warmboot explain' what of it fits a boot that stayed dark."""
_RISKS = {
    "device_left_on": "a device may do DMA, and its driver has no shutdown method",
    "graphics": "a native driver has the display: the screen is black until the new kernel's own is up",
    "watchdog": "a watchdog runs, and goes on over the jump",
    "iommu": "the IOMMU translates, and the new kernel must too",
    "firmware_memory": "the new command line makes a memory map of its own",
    "no_console": "no serial console: nobody sees why a start fails",
}
_EXAMPLES = ("warmboot risks", 'warmboot risks --command-line "root=/dev/vda1 console=ttyS0" --json')
_KCORE = Path("/proc/kcore")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `risks`."""
    parser = add_command(
        subparsers,
        "risks",
        summary="what may fail on this computer after the jump",
        when=_WHEN,
        about=_ABOUT,
        sections=[section("risks, each with a page: warmboot explain NAME", _RISKS)],
        examples=_EXAMPLES,
        statuses={"0": "the risks are told, or there are none", "1": "not all could be looked at"},
    )
    parser.add_argument(
        "--command-line", metavar="TEXT", help="the new kernel's command line (default: the running kernel's)"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.cli.dump_file import print_answer, status_of  # noqa: PLC0415 - only when it runs, as below
    from warmboot.dump.devices import read_devices  # noqa: PLC0415
    from warmboot.dump.kernel import Kernel  # noqa: PLC0415
    from warmboot.dump.opening import open_dump  # noqa: PLC0415
    from warmboot.live.cmdline import running  # noqa: PLC0415
    from warmboot.live.computer import firmware_memmap_text  # noqa: PLC0415
    from warmboot.live.devices import read_devices as told_devices  # noqa: PLC0415
    from warmboot.live.files import text  # noqa: PLC0415
    from warmboot.report.text.risks import risks_lines  # noqa: PLC0415
    from warmboot.risks.risk import PartlyTold  # noqa: PLC0415
    from warmboot.risks.risks import seen  # noqa: PLC0415

    devices, problems = None, list[str]()
    try:
        devices = read_devices(Kernel(open_dump(_KCORE)))
    except WarmbootError as error:
        why = "run it as root, where lockdown allows that"
        if not _KCORE.exists():
            why = "the running kernel has no such file (CONFIG_PROC_KCORE)"
        problems.append(f"what shuts devices down was looked up in the table of drivers: {error}; {why}")
    try:
        cmdline = running()
    except OSError as error:
        raise InputError(f"/proc/cmdline: {error.strerror}", hint="mount /proc") from None
    told = PartlyTold(os.uname().release, cmdline, text("/proc/iomem") or "", firmware_memmap_text(), told_devices())
    answer = seen(told, devices, problems, cmdline if args.command_line is None else args.command_line)
    if args.json:
        print_json(document("risks", answer))
    else:
        print_answer(risks_lines(answer))
    return status_of(answer.problems, json=args.json)

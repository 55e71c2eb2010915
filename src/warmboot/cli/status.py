"""`warmboot status`: what is loaded on this computer, and whether more may be."""

from __future__ import annotations

import argparse
import os

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.live import iomem, status
from warmboot.live.files import number, text
from warmboot.report.json.documents import StatusAnswer
from warmboot.report.text.terminal import Terminal
from warmboot.report.text.words import size_text, table

__all__ = ["add_parser", "run"]

_WHEN = "Use it to see what is loaded on this computer, and whether another kernel may be loaded."
_ABOUT = """\
It prints which kernels a reboot by kexec and a crash would start, the memory reserved for crash kernels, and whether
loading is allowed. Scripts read --json, or ask `kexec -S`."""
_SYSCTL = "/proc/sys/kernel/kexec_load_"


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `status`."""
    parser = add_command(
        subparsers,
        "status",
        summary="what is loaded on this computer",
        when=_WHEN,
        about=_ABOUT,
        examples=("warmboot status", "warmboot status --json"),
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    answer = _answer()
    if args.json:
        print_json(document("status", answer))
        return 0
    terminal = Terminal()
    for line in table(_rows(answer)):
        terminal.line(line, indent=2)
    return 0


def _answer() -> StatusAnswer:
    lockdown = text("/sys/kernel/security/lockdown") or ""
    try:
        crash = tuple((start, end) for start, end in iomem.crash_kernel() if end > 1)  # only root sees addresses
    except OSError:
        crash = ()
    return StatusAnswer(
        release=os.uname().release,
        kexec_loaded=status.loaded(),
        kexec_crash_loaded=status.crash_loaded(),
        kexec_crash_size=status.crash_size(),
        crash_kernel=crash,
        kexec_load_disabled=number(f"{_SYSCTL}disabled"),
        kexec_load_limit_reboot=number(f"{_SYSCTL}limit_reboot"),
        kexec_load_limit_panic=number(f"{_SYSCTL}limit_panic"),
        lockdown=lockdown.partition("[")[2].partition("]")[0] or None,
    )


def _rows(answer: StatusAnswer) -> list[tuple[str, str]]:
    rows = [("kernel", answer.release)]
    if answer.kexec_loaded is None and answer.kexec_crash_loaded is None:
        return [*rows, ("kexec", "this kernel has none (CONFIG_KEXEC), or /sys is not mounted")]
    rows.append(("image", "loaded: 'warmboot exec' starts it" if answer.kexec_loaded else "none loaded"))
    if answer.kexec_crash_loaded:
        rows.append(("crash image", "loaded: a crash starts it"))
    elif answer.kexec_crash_size:
        rows.append(("crash image", "none loaded: 'warmboot load --panic' loads one"))
    else:
        rows.append(("crash image", "none: no memory is reserved; boot with crashkernel="))
    for start, end in answer.crash_kernel:
        rows.append(("reserved", f"{start:#x}-{end - 1:#x}, {size_text(end - start)}"))
    return [*rows, ("loading", _permission(answer))]


def _permission(answer: StatusAnswer) -> str:
    if answer.kexec_load_disabled:
        return "forbidden until the next boot: kernel.kexec_load_disabled is 1"
    if answer.lockdown in ("integrity", "confidentiality"):
        return f"only kernels with a trusted signature, by kexec_file_load: lockdown is {answer.lockdown}"
    limits = [
        f"{left} more {what}"
        for left, what in (
            (answer.kexec_load_limit_reboot, "images"),
            (answer.kexec_load_limit_panic, "crash images"),
        )
        if left is not None and left >= 0
    ]
    return "allowed to root" + (f": {', '.join(limits)}" if limits else "")

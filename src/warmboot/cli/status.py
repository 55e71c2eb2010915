"""`warmboot status`: what is loaded on this computer, and whether more may be."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from warmboot.live import iomem, status
from warmboot.live.files import number, text
from warmboot.report.text.terminal import size_text, table

__all__ = ["add_parser", "run"]

_DESCRIPTION = """\
Tell what is loaded on this computer: the kernel that a reboot by kexec would start, the one
that a crash would start, the memory reserved for it, and whether loading is allowed.
Scripts read --json, or ask `kexec -S`.
"""
_SYSCTL = "/proc/sys/kernel/kexec_load_"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `status`."""
    parser = subparsers.add_parser(
        "status",
        help="what is loaded on this computer",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    figures = _figures()
    if args.json:
        print(json.dumps(figures, indent=2))
    else:
        print("\n".join(table(_rows(figures))))
    return 0


def _figures() -> dict[str, Any]:
    lockdown = text("/sys/kernel/security/lockdown") or ""
    try:
        crash = [(start, end) for start, end in iomem.crash_kernel() if end > 1]
    except OSError:
        crash = []
    return {
        "release": os.uname().release,
        "kexec_loaded": status.loaded(),
        "kexec_crash_loaded": status.crash_loaded(),
        "kexec_crash_size": status.crash_size(),
        "crash_kernel": crash,  # physical: start, and the byte behind the end; none for who is not root
        "kexec_load_disabled": number(f"{_SYSCTL}disabled"),
        "kexec_load_limit_reboot": number(f"{_SYSCTL}limit_reboot"),
        "kexec_load_limit_panic": number(f"{_SYSCTL}limit_panic"),
        "lockdown": lockdown.partition("[")[2].partition("]")[0] or None,
    }


def _rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("kernel", figures["release"])]
    if figures["kexec_loaded"] is None and figures["kexec_crash_loaded"] is None:
        return [*rows, ("kexec", "this kernel has none (CONFIG_KEXEC), or /sys is not mounted")]
    rows.append(("image", "loaded: 'warmboot exec' starts it" if figures["kexec_loaded"] else "none loaded"))
    if figures["kexec_crash_loaded"]:
        rows.append(("crash image", "loaded: a crash starts it"))
    elif figures["kexec_crash_size"]:
        rows.append(("crash image", "none loaded: 'warmboot load --panic' loads one"))
    else:
        rows.append(("crash image", "none: no memory is reserved; boot with crashkernel="))
    for start, end in figures["crash_kernel"]:
        rows.append(("reserved", f"{start:#x}-{end - 1:#x}, {size_text(end - start)}"))
    return [*rows, ("loading", _permission(figures))]


def _permission(figures: dict[str, Any]) -> str:
    if figures["kexec_load_disabled"]:
        return "forbidden until the next boot: kernel.kexec_load_disabled is 1"
    if figures["lockdown"] in ("integrity", "confidentiality"):
        return f"only kernels with a trusted signature, by kexec_file_load: lockdown is {figures['lockdown']}"
    limits = [
        f"{left} more {what}"
        for name, what in (("reboot", "images"), ("panic", "crash images"))
        if (left := figures[f"kexec_load_limit_{name}"]) is not None and left >= 0
    ]
    return "allowed to root" + (f": {', '.join(limits)}" if limits else "")

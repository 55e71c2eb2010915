"""`warmboot kdump install`: the unit of systemd, and what makes initrds for new kernels."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import ExitStatus

__all__ = ["add_parser", "run", "this_program"]

_WHEN = "Use it, as root, once, so that systemd loads the capture kernel at each boot and new kernels get their initrd."
_ABOUT = """\
It writes warmboot-kdump.service, a hook for new kernels where /etc/kernel/postinst.d is, a module of dracut where
dracut is, and a configuration where there is none. Files that are up to date are left
alone; a configuration is never replaced."""
_EXAMPLES = ("warmboot kdump install --dry-run", "warmboot kdump install --enable")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `install`."""
    parser = add_command(
        subparsers,
        "install",
        summary="install the unit and hooks",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
    )
    add = parser.add_argument
    add("--root", metavar="DIR", type=Path, default=Path("/"), help="the system to install into (default: /)")
    add("--program", metavar="PATH", help="warmboot's path there (default: this one's)")
    add("--enable", action="store_true", help="start the unit at each boot")
    add("--dry-run", action="store_true", help="say what would be written")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError."""
    from warmboot.kdump.install import install  # noqa: PLC0415 - only when it runs

    for each in install(args.root, args.program or this_program(), enable=args.enable, dry_run=args.dry_run):
        print(f"{each.what:<9}  {each.path}{'  (not now: --dry-run)' if args.dry_run else ''}")
    if not args.enable and not args.dry_run:
        print("then: systemctl enable --now warmboot-kdump")
    return ExitStatus.DONE


def this_program() -> str:
    """The script that was started, or the one that this environment has."""
    started = Path(sys.argv[0])
    if started.name == "warmboot" and started.exists():
        return str(started.absolute())
    return shutil.which("warmboot", path=str(Path(sys.executable).parent)) or "/usr/local/bin/warmboot"

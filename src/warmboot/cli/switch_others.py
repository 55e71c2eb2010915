"""What `warmboot switch` does besides a switch: the agent, its report, what is held, and what is installed."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from warmboot.errors import ExitStatus, InputError
from warmboot.liveupdate.wire import SOCKET

__all__ = ["run_other"]


def run_other(what: str, args: argparse.Namespace) -> int:
    """Do it; the exit status. Raises WarmbootError."""
    socket = args.socket or SOCKET
    if what == "resume":
        from warmboot.switching.agent import main  # noqa: PLC0415 - each start pays for what it does alone

        group = -1 if args.group is None else _group(args.group)
        return main(socket, 0o600 if group < 0 else 0o660, group)
    if what == "install":
        return _install(args)
    if what == "report":
        return _report(args, socket)
    return _link(what, args, socket)


def _group(name: str) -> int:
    import grp  # noqa: PLC0415

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise InputError(f"--group {name}: there is no such group", hint="getent group") from None


def _report(args: argparse.Namespace, socket: str) -> int:
    from warmboot.cli.answer import document, print_json  # noqa: PLC0415
    from warmboot.errors import WarmbootError  # noqa: PLC0415
    from warmboot.report.text.switch import switch_report_lines  # noqa: PLC0415
    from warmboot.report.text.terminal import Terminal  # noqa: PLC0415
    from warmboot.switching.link import AgentLink  # noqa: PLC0415
    from warmboot.switching.report import report_of  # noqa: PLC0415
    from warmboot.switching.run_files import KEPT_JOURNAL  # noqa: PLC0415

    told: str | None = None
    try:
        with AgentLink(socket) as link:
            told = link.report()
    except WarmbootError:
        told = None  # the report says so
    report = report_of(told, KEPT_JOURNAL)
    if args.json:
        print_json(document("switch-report", report))
    else:
        terminal = Terminal()
        for line in switch_report_lines(report):
            terminal.line(line, indent=2)
    lost = bool(report.problem) or any(each.lost for each in report.files)
    return ExitStatus.REFUSED if lost else ExitStatus.DONE


def _link(what: str, args: argparse.Namespace, socket: str) -> int:
    from warmboot.switching.link import AgentLink  # noqa: PLC0415

    with AgentLink(socket) as link:
        if what == "abort":
            link.abort()
            return ExitStatus.DONE
        held = link.held()
    if args.json:
        from warmboot.cli.answer import document, print_json  # noqa: PLC0415
        from warmboot.switch_figures import SwitchHeld  # noqa: PLC0415

        print_json(document("switch-list", SwitchHeld(held)))
        return ExitStatus.DONE
    from warmboot.report.text.switch import held_lines  # noqa: PLC0415

    print("\n".join(held_lines(held)) or "no service has handed anything over")
    return ExitStatus.DONE


def _install(args: argparse.Namespace) -> int:
    from warmboot.switching.install import install  # noqa: PLC0415

    started = Path(sys.argv[0])
    program = str(started.absolute()) if started.name == "warmboot" and started.exists() else None
    found = program or shutil.which("warmboot", path=str(Path(sys.executable).parent)) or "/usr/local/bin/warmboot"
    path, what = install(args.root, found, dry_run=args.dry_run)
    print(f"{what:<9}  {path}{'  (not now: --dry-run)' if args.dry_run else ''}")
    if not args.dry_run:
        print("then: systemctl enable --now warmboot-switch")
    return ExitStatus.DONE

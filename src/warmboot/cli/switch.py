"""`warmboot switch`: this computer to another kernel, while services live on."""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path

from warmboot.cli.options import (
    add_append,
    add_html,
    add_initrd,
    add_json,
    add_junit,
    add_profile,
    add_replace,
    command_line_request,
    whole_number,
)
from warmboot.cli.parser import Subparsers, add_command, section
from warmboot.errors import InputError

__all__ = ["add_parser", "run"]

_WHEN = "Use it, as root, to bring this computer to another kernel with the least downtime, and services' memory kept."
_ABOUT = """\
Services hand over memfds by warmboot.liveupdate.preserve(NAME, FD); the agent, `warmboot switch --resume`, holds them.
A switch checks everything, loads the kernel, has the files preserved by /dev/liveupdate, tells services and hooks, and
jumps; there the agent takes the files over, and services get them by retrieve(NAME). Whatever fails before the jump is
undone, and services go on as if nothing had been. Where this kernel hands nothing over, it is the plain fast reboot,
with the same checks, hooks and report."""
_STAGES = {
    "check": "whether this kernel hands over, what services have handed over, and what stands in the way",
    "prepare": "hooks are run, with the word prepare",
    "inspect": "what the kernel file is and what it needs",
    "place": "where its parts go",
    "permit": "each check that the running kernel will make, by name, made by the model",
    "load": "the system call",
    "keep": "sessions are made, and every file is preserved: from now on no size of them can change",
    "tell": "hooks and services are told, with the word freeze",
    "jump": "systemctl kexec where systemd runs, else, and with --now, at once",
}
_EXAMPLES = (
    "warmboot switch /boot/vmlinuz-7.2 --initrd /boot/initrd.img-7.2 --keep cache.service",
    "warmboot switch /boot/vmlinuz-7.2 --initrd /boot/initrd.img-7.2 --dry-run",
    "warmboot switch --report --json",
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `switch`."""
    parser = add_command(
        subparsers,
        "switch",
        summary="to another kernel, while services live on",
        when=_WHEN,
        about=_ABOUT,
        sections=[section("stages", _STAGES)],
        examples=_EXAMPLES,
        environment=("WARMBOOT_FAULT",),
        statuses={
            "0": "services are being stopped, or with --now the command does not return; --dry-run: it would switch",
            "1": "refused or failed; everything is as it was. --report: something was lost",
        },
    )
    add = parser.add_argument
    add("kernel", metavar="KERNEL", type=Path, nargs="?", help="the kernel file, as 'load' takes it")
    add_initrd(parser)
    add_append(parser)
    add_replace(parser)
    add(
        "--keep",
        metavar="WHAT",
        nargs="+",
        action="extend",
        default=[],
        help="keep only these: a systemd unit, a name or its first part, or a descriptor of this command, as 5 or"
        " NAME=5 (default: all that services have handed over)",
    )
    add("--cold", action="store_true", help="keep nothing: the plain fast reboot")
    add("--allow-cold", action="store_true", help="go on where what is kept would not arrive, and services start cold")
    add(
        "--hook",
        metavar="PROGRAM",
        type=Path,
        action="append",
        default=[],
        help="run it with the words prepare, freeze, and thaw where it fails; may be repeated (also:"
        " /etc/warmboot/switch.d/*)",
    )
    add("--hook-timeout", metavar="SECONDS", type=whole_number, default=60, help="for each hook (default: 60)")
    add(
        "--tell-timeout",
        metavar="SECONDS",
        type=whole_number,
        default=10,
        help="for services to answer that they are ready (default: 10)",
    )
    add(
        "--jump-timeout",
        metavar="SECONDS",
        type=whole_number,
        default=600,
        help="for systemd to stop everything; then what is kept is given back (default: 600)",
    )
    add("--now", action="store_true", help="jump at once: services run until then, and are not stopped")
    add("--yes", action="store_true", help="do not ask")
    add("--dry-run", action="store_true", help="stop before anything is done")
    add_profile(parser)
    _add_others(parser)
    add_html(parser)
    add_junit(parser)
    add_json(parser, "print one JSON object at the end")
    parser.set_defaults(run=run)


def _add_others(parser: argparse.ArgumentParser) -> None:
    """What is done in place of a switch."""
    add = parser.add_argument
    add("--resume", action="store_true", help="be the agent: take over what the kernel before handed on, then serve")
    add("--report", action="store_true", help="print what the last switch took, what arrived, and the downtime")
    add("--list", action="store_true", help="print what services have handed over")
    add("--abort", action="store_true", help="call off a switch for which systemd is stopping services")
    add("--install", action="store_true", help="install warmboot-switch.service, which runs the agent")
    add(
        "--root", metavar="DIR", type=Path, default=Path("/"), help="--install: the system to install into (default: /)"
    )
    add("--socket", metavar="PATH", help="the agent's socket (default: /run/warmboot/liveupdate.socket)")
    add("--group", metavar="GROUP", help="--resume: a group whose users may hand files over, too (default: root alone)")


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError."""
    others = [each for each in ("resume", "report", "list", "abort", "install") if getattr(args, each)]
    if len(others) + (args.kernel is not None) != 1:
        raise InputError(
            "give a KERNEL, or one of --resume, --report, --list, --abort and --install", hint="warmboot switch --help"
        )
    if others:
        from warmboot.cli.switch_others import run_other  # noqa: PLC0415 - each start pays for what it does alone

        return run_other(others[0], args)
    return _switch(args)


def _switch(args: argparse.Namespace) -> int:
    from warmboot.cli.staged import run_staged  # noqa: PLC0415
    from warmboot.live.facts import read_facts  # noqa: PLC0415
    from warmboot.liveupdate.wire import SOCKET  # noqa: PLC0415
    from warmboot.switching.options import SwitchOptions, keep_of  # noqa: PLC0415
    from warmboot.switching.run import switch  # noqa: PLC0415

    for name in ("hook_timeout", "tell_timeout", "jump_timeout"):
        if not 1 <= getattr(args, name) <= 3600:
            raise InputError(f"--{name.replace('_', '-')}: not from 1 to 3600 seconds", hint="leave it out")
    if args.cold and args.keep:
        raise InputError("--cold keeps nothing, and --keep something", hint="leave one out")
    options = SwitchOptions(
        kernel=args.kernel,
        initrds=args.initrd,
        command_line=command_line_request(args),
        keep=[keep_of(each) for each in args.keep],
        cold=args.cold,
        allow_cold=args.allow_cold,
        hooks=args.hook,
        hook_timeout=args.hook_timeout,
        tell_timeout=args.tell_timeout,
        jump_timeout=args.jump_timeout,
        now=args.now,
        dry_run=args.dry_run,
        socket=args.socket or SOCKET,
        profile=args.profile,
    )
    confirm = _always if args.yes else _confirmed
    return run_staged("switch", args, lambda observer: switch(options, observer, confirm), facts=read_facts)


def _always(how: str) -> bool:
    del how
    return True


def _confirmed(how: str) -> bool:
    from warmboot.visible import visible  # noqa: PLC0415

    if not sys.stdin.isatty():
        raise InputError("there is no terminal to ask at", hint="say --yes if you mean it")
    print(f"{visible(socket.gethostname())} leaves this kernel. {how}", file=sys.stderr)
    print("Type yes to go on: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() == "yes"

"""`warmboot roll start`: begin a roll."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.cli.options import add_append, add_call, add_initrd, add_json, add_profile, add_replace, whole_number
from warmboot.cli.parser import Subparsers, add_command
from warmboot.cli.roll_words import STATUSES, add_state, go_on, journal_path, print_answer, seconds
from warmboot.errors import ExitStatus, InputError
from warmboot.kernel.call import Call

if TYPE_CHECKING:
    from warmboot.roll.journal import Journal
    from warmboot.roll.settings import Settings

__all__ = ["add_parser", "run"]

_MOST_FORKS = 512
_WHEN = "Use it to switch the machines of an inventory to a kernel; with --dry-run first, which changes nothing."
_ABOUT = """\
KERNEL and the initrds are files of this computer, and are copied. Each machine keeps its command line, unless it is
replaced, and what --append adds. The machines must have kexec, of kexec-tools or of warmboot, and a shell; where
systemd runs there, 'systemctl kexec' stops the services, elsewhere 'kexec -e' starts the kernel at once.

Commands run here in a shell and find the machine in ROLL_MACHINE, ROLL_ADDRESS and ROLL_PORT, as a health check does
that is 'curl -fsS "http://$ROLL_ADDRESS/health"'. A machine that does not
answer in time gets the --fallback command, such as its power control's; then its firmware starts what it starts. The
roll stops after the batch in which the first machine fails."""
_EXAMPLES = (
    "warmboot roll start vmlinuz --initrd initrd.img -i inventory.ini --dry-run",
    "warmboot roll start vmlinuz --initrd initrd.img -i inventory.ini --limit web --batch 5 --health ./healthy",
    "warmboot roll start vmlinuz --initrd initrd.img -i inventory.ini --become --before ./drain --after ./undrain"
    " --fallback ./power-cycle",
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `start`."""
    parser = add_command(
        subparsers,
        "start",
        summary="begin a roll",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses=STATUSES,
        environment=("WARMBOOT_QEMU", "WARMBOOT_OVMF", "WARMBOOT_ACCEL"),
    )
    add = parser.add_argument
    add("kernel", metavar="KERNEL", type=Path, help="the kernel to switch to")
    add_initrd(parser)
    add_replace(parser)
    add_append(parser)
    add_call(parser, [each.value for each in Call])
    add_profile(parser)
    add("-i", "--inventory", metavar="INVENTORY", action="append", required=True, help="Ansible's; may be repeated")
    add("--limit", metavar="PATTERN", default="all", help="which of its machines, as Ansible has it (default: all)")
    add("--become", action="store_true", help="become root on the machines, as Ansible is configured to")
    add("--forks", metavar="N", type=whole_number, default=32, help="machines at work at once (default: 32)")
    add("--canary", metavar="N", type=whole_number, default=1, help="machines that go first (default: 1)")
    add("--batch", metavar="N|N%", default="10%", help="machines that go together afterwards (default: 10%%)")
    add("--health", metavar="COMMAND", default="", help="here: succeeds if the machine is healthy")
    add("--health-there", metavar="COMMAND", default="", help="the same, on the machine")
    _add_seconds(parser, "--health-within", 60, "seconds in which it must succeed, tried again and again")
    add("--before", metavar="COMMAND", default="", help="here, before a machine is touched: take it out of service")
    add("--after", metavar="COMMAND", default="", help="here, when it is healthy: put it into service")
    _add_seconds(parser, "--timeout", 300, "seconds from the command to jump until the machine answers")
    add("--fallback", metavar="COMMAND", default="", help="here, where it does not answer in time: reset its firmware")
    _add_seconds(parser, "--fallback-timeout", 600, "seconds after that until it answers")
    _add_seconds(parser, "--step-timeout", 120, "seconds for any other step")
    add("--no-rehearse", action="store_true", help="do not start the kernel in QEMU first")
    _add_seconds(parser, "--rehearse-timeout", 180, "seconds for each boot in QEMU")
    add("--leave-out", action="store_true", help="go on without machines that refuse or cannot be reached")
    add("--again", action="store_true", help="also machines that run this release already")
    add("--dry-run", action="store_true", help="survey, check, rehearse and show the batches; touch nothing")
    add_state(parser)
    add_json(parser, "print one JSON object at the end")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError."""
    from warmboot.roll.ansible import Ansible  # noqa: PLC0415 - only when it runs, as below
    from warmboot.roll.engine import log_path  # noqa: PLC0415
    from warmboot.roll.files import prepared  # noqa: PLC0415
    from warmboot.roll.gate import Gate  # noqa: PLC0415
    from warmboot.roll.journal import Journal  # noqa: PLC0415
    from warmboot.roll.settings import batch_size  # noqa: PLC0415

    settings = _settings(args)
    batch_size(settings.batch, 1)
    gate = Gate(settings)
    with tempfile.TemporaryDirectory(prefix="warmboot-roll-") as folder:
        path = Path(folder, "roll.db") if args.dry_run else journal_path(args)
        with closing(Journal(path, create=True)) as journal, journal.at_work() as lock:
            ansible = Ansible(settings.inventory, log_path(path, 0))
            machines = ansible.hosts(settings.limit)
            with prepared(settings.kernel, settings.initrds) as files:
                number = journal.begin(settings, gate.release, files.digests, machines)
            if args.dry_run:
                return _plan(journal, number, lock, args)
            return go_on(journal, number, lock, args)


def _plan(journal: Journal, number: int, lock: int, args: argparse.Namespace) -> int:
    from warmboot.report.text.roll import NewsLines  # noqa: PLC0415
    from warmboot.roll.batches import planned  # noqa: PLC0415
    from warmboot.roll.engine import Engine  # noqa: PLC0415
    from warmboot.roll.files import prepared  # noqa: PLC0415
    from warmboot.roll.states import OPEN  # noqa: PLC0415
    from warmboot.roll.summary import summary  # noqa: PLC0415

    settings = journal.roll(number).settings
    with prepared(settings.kernel, settings.initrds) as files:
        problem = Engine(journal, number, files, lock, NewsLines(quiet=args.json)).plan()
    batches = planned(settings, [name for name, state in journal.states(number).items() if state in OPEN])
    answer = summary(journal, number, at_work=True)
    verdict = f"it would not begin: {problem}" if problem else f"it would switch {sum(map(len, batches))}"
    verdict += "" if problem else f" of {len(answer.machines)} machines in {len(batches)} batches"
    status = ExitStatus.REFUSED if problem else ExitStatus.DONE
    made = replace(answer, roll=None, state="planned", batches=() if problem else batches, verdict=verdict, hint="")
    return print_answer(replace(made, exit_status=int(status)), args)


def _settings(args: argparse.Namespace) -> Settings:
    from warmboot.roll.settings import Settings  # noqa: PLC0415

    if not 1 <= args.forks <= _MOST_FORKS:
        raise InputError(f"--forks {args.forks}: not from 1 to {_MOST_FORKS}", hint="such as 32")
    if args.canary < 0:
        raise InputError(f"--canary {args.canary}: fewer than none", hint="such as 1")
    if args.health and args.health_there:
        raise InputError("--health and --health-there: which of them counts?", hint="give one command")
    return Settings(
        kernel=str(args.kernel.absolute()),
        inventory=tuple(_inventory(each) for each in args.inventory),
        limit=args.limit,
        initrds=tuple(str(each.absolute()) for each in args.initrd),
        command_line=args.command_line,
        append=args.append,
        call=args.call,
        profile=args.profile,
        canary=args.canary,
        batch=args.batch,
        health=args.health or args.health_there,
        health_there=bool(args.health_there),
        health_within=seconds("--health-within", args.health_within),
        before=args.before,
        after=args.after,
        fallback=args.fallback,
        timeout=seconds("--timeout", args.timeout),
        fallback_timeout=seconds("--fallback-timeout", args.fallback_timeout),
        step_timeout=seconds("--step-timeout", args.step_timeout),
        rehearse=not args.no_rehearse,
        rehearse_timeout=seconds("--rehearse-timeout", args.rehearse_timeout),
        leave_out=args.leave_out,
        again=args.again,
        become=args.become,
        forks=args.forks,
    )


def _inventory(given: str) -> str:
    """A list of hosts has a comma; anything else is a file or a folder, wherever the roll is resumed."""
    return given if "," in given else str(Path(given).absolute())


def _add_seconds(parser: argparse.ArgumentParser, option: str, default: int, help_text: str) -> None:
    parser.add_argument(option, metavar="S", type=float, default=default, help=f"{help_text} (default: {default})")

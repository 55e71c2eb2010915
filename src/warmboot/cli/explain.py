"""`warmboot explain`: why did kexec fail, or why does the machine stay dark after it?"""

from __future__ import annotations

import argparse
import os
import shutil
import stat
import sys
from pathlib import Path

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import add_json, add_like
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import InputError, WarmbootError
from warmboot.visible import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.explain.catalog import Entry
    from warmboot.explain.findings import Diagnosis, RuleEntry
    from warmboot.memmap import Facts

__all__ = ["add_parser", "run"]

_WIDEST = 100  # columns
_SEGMENT = "segment["
_WHEN = """\
Use it when kexec says "Invalid argument" or "Operation not permitted" and no more, or when the machine stays dark."""
_ABOUT = """\
Give what you have: the output of kexec, lines of dmesg or the journal, the console of a boot that stopped, an errno
with the command line, or the name of a rule. The answer says how sure it is: certain, where the model of the kernel
refuses the same request with the same errno; likely, where a line or a fact says so; possible, where the errno allows
it. As root this computer's facts are used, unless --like or --no-facts is given."""
_EXAMPLES = (
    "warmboot explain failed.txt --like host.json",
    'warmboot explain EADDRNOTAVAIL "kexec -p vmlinuz" --no-facts',
    "warmboot explain half_of_memory",
    "warmboot explain --list",
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `explain`."""
    parser = add_command(
        subparsers,
        "explain",
        summary="why did kexec fail?",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses={"0": "there is an explanation, with whatever confidence"},
    )
    add = parser.add_argument
    add("what", metavar="FILE|-|RULE|ERRNO", nargs="?", default="-", help="what you have; standard input by default")
    add("command", metavar="COMMAND", nargs="?", help="with ERRNO: the command line of kexec, as one word")
    add("--list", action="store_true", help="all rules, each with its errno")
    add_like(parser)
    add("--no-facts", action="store_true", help="do not look at this computer")
    add_json(parser, "print one JSON object")
    parser.set_defaults(run=run, cpus=None, memory=None, crashkernel=[])


def run(args: argparse.Namespace) -> int:
    """Explain; the exit status. Raises InputError where there is nothing to explain."""
    from warmboot.explain.catalog import CATALOG  # noqa: PLC0415 - only when it runs, as below
    from warmboot.explain.errnos import errno_called  # noqa: PLC0415

    _check(args)
    if args.list:
        _show_rules(tuple(_entry(each, text=False) for each in CATALOG.values()), args)
        return 0
    if args.what in CATALOG and not args.command:
        _show_rules((_entry(CATALOG[args.what], text=True),), args)
        return 0
    value = errno_called(args.what)
    is_file = value is not None and Path(args.what).exists()
    found = _of_paste(args) if value is None or is_file else _of_errno(value, args)
    if args.json:
        print_json(document("explain", found))
    else:
        from warmboot.report.text.explain import diagnosis_lines  # noqa: PLC0415

        print("\n".join(diagnosis_lines(found, _width())))
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raises InputError for options of which one would be ignored."""
    if args.like is not None and args.no_facts:
        raise InputError("--like gives facts, and --no-facts wants none", hint="leave one out")
    if args.list and (args.what != "-" or args.command):
        raise InputError(
            "--list has all rules, whatever else is given", hint=f"warmboot explain {visible(args.what, most=60)}"
        )


def _of_errno(value: int, args: argparse.Namespace) -> Diagnosis:
    from warmboot.explain.errnos import errno_name  # noqa: PLC0415
    from warmboot.explain.evidence import command_of  # noqa: PLC0415
    from warmboot.explain.judge import diagnose_errno  # noqa: PLC0415

    command = command_of(args.command) if args.command else None
    if args.command and command is None:
        raise InputError(f"'{visible(args.command, most=60)}' is no command line of kexec", hint="kexec -l vmlinuz")
    found = diagnose_errno(value, command, _facts(args), implied=args.like is None)
    if not found.findings:
        raise InputError(f"no call of kexec gives {errno_name(value)}", hint="warmboot explain --list")
    return found


def _of_paste(args: argparse.Namespace) -> Diagnosis:
    from warmboot.explain.evidence import read  # noqa: PLC0415
    from warmboot.explain.judge import diagnose_evidence  # noqa: PLC0415

    if args.command:
        raise InputError(
            f"'{visible(args.what, most=60)}' is no errno", hint="only an errno, such as EINVAL, takes a command line"
        )
    name = "standard input" if args.what == "-" else visible(args.what, most=60)
    text = _text(args.what)
    if "\0" in text:
        raise InputError(
            f"{name}: no text, it has zero bytes", hint="give what kexec printed, not the kernel or a dump"
        )
    evidence = read(text)
    if not evidence.says_something and _SEGMENT in text:
        raise InputError(
            f"{name}: segments alone, without the line that says what failed",
            hint="copy from 'kexec_load failed: ...' on, or run it again: kexec ... 2>&1 | warmboot explain",
        )
    if not evidence.says_something:
        raise InputError(
            f"{name}: nothing in it that kexec, the kernel or a boot says when it fails",
            hint="give all that kexec printed, or dmesg, or the console; warmboot explain --list has all rules",
        )
    found = diagnose_evidence(evidence, _facts(args), implied=args.like is None)
    if not found.findings:
        raise InputError(f"{name}: the errno is none that kexec's calls give", hint="warmboot explain --list")
    return found


def _text(name: str) -> str:
    """The paste. Raises InputError where there is none, or it is too long."""
    from warmboot.explain.clean import MOST  # noqa: PLC0415

    if name == "-":
        data = sys.stdin.buffer.read(MOST + 1)
    else:
        try:
            if not stat.S_ISREG(os.stat(name).st_mode) and not stat.S_ISFIFO(os.stat(name).st_mode):  # noqa: PTH116
                raise InputError(f"{visible(name)}: no regular file", hint="give a file with what kexec printed")
            with open(name, "rb") as file:  # noqa: PTH123 - a name may be a descriptor's, /dev/fd/3
                data = file.read(MOST + 1)
        except (FileNotFoundError, ValueError):
            raise InputError(
                f"'{visible(name, most=60)}' is neither a file nor a rule nor an errno",
                hint="warmboot explain --list has all rules",
            ) from None
        except OSError as error:
            raise InputError(
                f"{visible(name, most=60)}: {error.strerror}", hint="give a file that can be read"
            ) from None
    if len(data) > MOST:
        raise InputError(
            "more than 4 MiB of text",
            hint="give the lines around the failure, such as: journalctl -b -k -n 500 | warmboot explain",
        )
    return data.decode("utf-8", "replace")


def _facts(args: argparse.Namespace) -> Facts | None:
    """Those of --like; this computer's where we are root and they can be read."""
    if args.no_facts:
        return None
    if args.like is not None:
        from warmboot.cli.options import facts_asked_for  # noqa: PLC0415

        return facts_asked_for(args)
    if os.geteuid() != 0:
        return None
    from warmboot.live.facts import read_facts  # noqa: PLC0415

    try:
        return read_facts()
    except WarmbootError:
        return None


def _entry(entry: Entry, *, text: bool) -> RuleEntry:
    from warmboot.explain.errnos import errno_name  # noqa: PLC0415
    from warmboot.explain.findings import RuleEntry  # noqa: PLC0415
    from warmboot.explain.pages import page  # noqa: PLC0415

    about = page(entry.name)
    number = errno_name(entry.errno) if entry.errno is not None else None
    return RuleEntry(entry.name, entry.group, number, entry.source, about.title, about.text if text else "")


def _show_rules(found: tuple[RuleEntry, ...], args: argparse.Namespace) -> None:
    if args.json:
        from warmboot.explain.findings import RuleList  # noqa: PLC0415

        print_json(document("explain", RuleList(found)))
        return
    from warmboot.report.text.explain import list_lines, page_lines  # noqa: PLC0415

    lines = list_lines(found, _width()) if args.list else page_lines(found[0].page, _width())
    print("\n".join(lines).rstrip("\n"))


def _width() -> int:
    return max(40, min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns))

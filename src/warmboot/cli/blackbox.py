"""`warmboot blackbox`: how far the last kexec came, whoever booted since."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command, section
from warmboot.errors import ExitStatus, InputError
from warmboot.visible import visible

if TYPE_CHECKING:
    from warmboot.blackbox.last_words import LastWords
    from warmboot.blackbox.story import Story

__all__ = ["add_parser", "run"]

_WHEN = "Use it, as root, after a kexec that went dark, from whatever system is booted next."
_ABOUT = """\
The black box is a page of RAM that a warm reset does not touch. What a kexec leaves there says how far it came: to
which piece of the image, with which digests or registers, and whether the new kernel printed. With the notes of the
load and this machine's facts the likely causes are told."""
_WHAT = {
    "show": "the last kexec's story, and what may have stopped it (default)",
    "arrived": "say that the new kernel's user space is up, and stop the watchdog of --rescue; for a service at boot",
    "install": "the words that keep a page on this computer; with --write, for GRUB in /etc/default/grub.d, and the"
    " service that runs 'arrived'",
    "clear": "empty the page and remove the notes",
}
_EXAMPLES = ("warmboot blackbox", "warmboot blackbox --memory page.bin --json")
_MOST_ADDRESS = (1 << 52) - 1


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `blackbox`."""
    parser = add_command(
        subparsers,
        "blackbox",
        summary="how far the last kexec came, and what stopped it",
        when=_WHEN,
        about=_ABOUT,
        sections=[section("what to do", _WHAT)],
        examples=_EXAMPLES,
        statuses={"0": "the story is told, also where nothing is known", "1": "not all could be looked at"},
    )
    add = parser.add_argument
    add("what", nargs="?", choices=tuple(_WHAT), default="show", metavar="WHAT", help=", ".join(_WHAT))
    add("--memory", metavar="FILE", type=Path, help="read a copy of the page, or of memory that holds it")
    add("--address", metavar="ADDRESS", help="read this physical address; with --memory: this offset")
    add("--write", action="store_true", help="with install: write GRUB's settings; 'update-grub' and a boot follow")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    if args.what != "show" and (args.memory is not None or args.address is not None):
        raise InputError(f"--memory and --address are for reading, not for {args.what}", hint="leave them out")
    if args.write and args.what != "install":
        raise InputError(f"--write is for install, not for {args.what}", hint="leave it out")
    if args.what == "install":
        return _install(args)
    if args.what == "clear":
        from warmboot.blackbox.arrive import clear  # noqa: PLC0415 - only when it runs, as below

        cleared = clear()
        if not args.json:
            print(f"cleared: {', '.join(cleared)}" if cleared else "there was nothing to clear")
            return ExitStatus.DONE
    if args.what == "arrived":
        _arrive(quiet=args.json)
    return _show(args)


def _install(args: argparse.Namespace) -> int:
    """The words for a page, where there is none yet. Raises InputError, RefusedError."""
    from warmboot.blackbox.install import good_page, kept_words, write_grub  # noqa: PLC0415
    from warmboot.blackbox.place import find_place  # noqa: PLC0415
    from warmboot.blackbox.ramoops import ramoops_page  # noqa: PLC0415
    from warmboot.blackbox.unit import has_unit, write_unit  # noqa: PLC0415
    from warmboot.cli.kdump_install import this_program  # noqa: PLC0415

    if args.json:
        raise InputError("--json is for reading, not for install", hint="leave it out")
    if args.write:
        unit = write_unit(this_program())
        if unit is not None:
            print(f"{visible(str(unit))} is written, and marks at each boot that user space is up", file=sys.stderr)
    has = find_place()
    if has is not None:
        whose = "ramoops' region" if has == ramoops_page() else "this kernel keeps it free"
        print(f"this computer has a page for a black box at {has:#x} ({whose}): no words are needed")
        if not has_unit():
            print("what is missing are the folder of the notes and the service: 'warmboot blackbox install --write'")
        return ExitStatus.DONE
    page = good_page()
    print(kept_words(page))
    if args.write:
        path = write_grub(page)
        print(f"{visible(str(path))} is written; run update-grub, and boot", file=sys.stderr)
    else:
        print("add these words to this kernel's command line, and boot; with --write GRUB gets them", file=sys.stderr)
    return ExitStatus.DONE


def _show(args: argparse.Namespace) -> int:
    from warmboot.cli.dump_file import print_answer, status_of  # noqa: PLC0415
    from warmboot.report.text.blackbox import story_lines  # noqa: PLC0415

    story = _story(args)
    if args.json:
        print_json(document("blackbox", story))
    else:
        print_answer(story_lines(story), indent=14)
    return status_of(story.problems, json=args.json)


def _story(args: argparse.Namespace) -> Story:
    from warmboot.blackbox.cmos import read_cmos  # noqa: PLC0415
    from warmboot.blackbox.memory import in_file, look  # noqa: PLC0415
    from warmboot.blackbox.state import read_loads  # noqa: PLC0415
    from warmboot.blackbox.story import told_of  # noqa: PLC0415
    from warmboot.blackbox.this_boot import this_boot  # noqa: PLC0415

    address = _address(args.address)
    loads = read_loads()
    if args.memory is not None:
        found = in_file(args.memory, address)
        return told_of(found, [each for each in loads if each.load_id == found.box.template.load_id.hex()], this_boot())
    if args.what == "show" and os.geteuid() == 0:
        _mark()
    looked = look(address=address)
    newest = looked.found[0] if looked.found else None
    return told_of(
        newest, loads, this_boot(), looked.problems, words=_words, cmos=read_cmos if address is None else lambda: None
    )


def _words(release: str, near: int, since: float) -> LastWords | None:
    """The log of the kernel that was started, where pstore has kept it, or memory still has it."""
    from warmboot.blackbox.last_words import last_words  # noqa: PLC0415
    from warmboot.blackbox.pstore import words_in_pstore  # noqa: PLC0415
    from warmboot.live.cmdline import running  # noqa: PLC0415

    kept = words_in_pstore(release, since)
    if kept is not None:
        return kept
    try:
        return last_words(release, running(), near)
    except OSError:
        return None


def _address(text: str | None) -> int | None:
    from warmboot.numbers import number  # noqa: PLC0415

    if text is None:
        return None
    value = number(text, 0, most=_MOST_ADDRESS)
    if value is None:
        raise InputError(f"--address {visible(text, most=40)}: no address", hint="such as 0x7ff00000")
    return value


def _mark() -> None:
    """That this command runs in the new kernel shows that its user space is up."""
    from warmboot.blackbox.arrive import mark_arrived  # noqa: PLC0415

    with suppress(OSError):  # what is read next says why
        mark_arrived()


def _arrive(*, quiet: bool) -> None:
    """Mark it, and take the watchdog over."""
    from warmboot.blackbox.takeover import take_over  # noqa: PLC0415

    _mark()
    for line in take_over():
        print(f"warmboot: {line}", file=sys.stderr if quiet else sys.stdout)

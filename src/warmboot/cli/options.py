"""Options that several commands share, each with the same name and meaning everywhere."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from warmboot.errors import InputError
from warmboot.visible import visible

TYPE_CHECKING = False
if TYPE_CHECKING:  # loaded by the commands that need them: every other one starts sooner
    from collections.abc import Sequence
    from typing import Any

    from warmboot.memmap import Facts
    from warmboot.placement.command_line import CommandLineRequest

__all__ = [
    "MOST_CPUS",
    "add_append",
    "add_blackbox",
    "add_call",
    "add_cpus",
    "add_crashkernel",
    "add_digest",
    "add_initrd",
    "add_json",
    "add_kernel",
    "add_like",
    "add_memory",
    "add_module",
    "add_panic",
    "add_profile",
    "add_replace",
    "add_rescue",
    "add_unpack",
    "command_line_request",
    "facts_asked_for",
    "modernized",
    "size_of",
    "whole_number",
]

_OLD_KERNEL = ("record", "fuzz", "witness")  # commands that took --kernel FILE before
MOST_CPUS = 255
_RESCUE = 300  # seconds
_MOST = (1 << 63) - 1


def add_kernel(parser: argparse.ArgumentParser, help_text: str) -> None:
    """KERNEL."""
    parser.add_argument("kernel", metavar="KERNEL", type=Path, help=help_text)


def add_initrd(parser: argparse.ArgumentParser) -> None:
    """--initrd, repeatable."""
    parser.add_argument(
        *("--initrd",),
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="an initial RAM disk; may be repeated: they are concatenated, as the kernel expects",
    )


def add_module(parser: argparse.ArgumentParser) -> None:
    """--module, repeatable."""
    parser.add_argument(
        *("--module",),
        metavar="'FILE WORDS'",
        action="append",
        default=[],
        help="a module of a multiboot kernel such as Xen, with its own command line; may be repeated",
    )


def add_append(parser: argparse.ArgumentParser, whose: str = "the new kernel's") -> None:
    """--append, which adds."""
    parser.add_argument("--append", metavar="TEXT", default="", help=f"add to {whose} command line")


def add_replace(parser: argparse.ArgumentParser) -> None:
    """--command-line, which replaces."""
    parser.add_argument(
        "--command-line", metavar="TEXT", help="the new kernel's command line, which also replaces an image's own"
    )


def add_panic(parser: argparse.ArgumentParser, help_text: str) -> None:
    """--panic."""
    parser.add_argument("--panic", action="store_true", help=help_text)


def add_call(parser: argparse.ArgumentParser, calls: Sequence[str]) -> None:
    """--call."""
    parser.add_argument(
        *("--call",),
        choices=list(calls),
        default=calls[0],
        metavar="CALL",
        help=f"the system call: {', '.join(calls)} (default: auto, chosen by what the running kernel allows)",
    )


def add_digest(parser: argparse.ArgumentParser) -> None:
    """--digest."""
    from warmboot.purgatory.parameters import DIGESTS  # noqa: PLC0415 - for commands that load something

    parser.add_argument(
        *("--digest",),
        choices=DIGESTS,
        default=DIGESTS[0],
        metavar="NAME",
        help="what the image is checked by after the jump: xxh64, at the speed of memory (default), sha256, or none",
    )


def add_blackbox(parser: argparse.ArgumentParser, auto: str, places: str) -> None:
    """--blackbox and --no-blackbox; `auto` says what is done where neither is given, `places` what may be given."""
    parser.add_argument(
        *("--blackbox",),
        metavar="PLACE",
        default="auto",
        help=f"the page in which is marked how far it comes, see 'warmboot blackbox': {places} (default: {auto})",
    )
    parser.add_argument("--no-blackbox", dest="blackbox", action="store_const", const=None, help="nothing is marked")


def add_unpack(parser: argparse.ArgumentParser) -> None:
    """--unpack."""
    from warmboot.images.unpack import UNPACKABLE  # noqa: PLC0415 - for commands that load something

    parser.add_argument(
        *("--unpack",),
        metavar="PARTS",
        type=_parts,
        default=frozenset(),
        help=f"unpack here what would unpack itself after the jump: {', '.join(UNPACKABLE)}, or both with a comma"
        " between them (default: none)",
    )


def _parts(text: str) -> frozenset[str]:
    from warmboot.images.unpack import parts_named  # noqa: PLC0415

    try:
        return parts_named(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(f"{visible(str(error))}; {error.hint}") from None


class _Profile(argparse.Action):
    """--profile NAME, or `list`: that prints the names and ends."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any) -> None:  # noqa: ANN401
        if values == "list":
            from warmboot.cli.profiles import print_profiles  # noqa: PLC0415 - only --profile list

            print_profiles()
            parser.exit()
        setattr(namespace, self.dest, values)


def add_profile(parser: argparse.ArgumentParser) -> None:
    """--profile."""
    parser.add_argument(
        *("--profile",),
        metavar="NAME|list",
        action=_Profile,
        help="the release whose rules the model follows (default: that of the running kernel), or a file that"
        " fuzz --draft-profile wrote; list prints the names",
    )


def add_rescue(parser: argparse.ArgumentParser, help_text: str) -> None:
    """--rescue, with or without a time; in seconds, 0 without the option."""
    parser.add_argument("--rescue", metavar="TIME", nargs="?", type=_time, const=_RESCUE, default=0, help=help_text)


def _time(text: str) -> int:
    from warmboot.live.watchdog import time_of  # noqa: PLC0415 - only with --rescue

    try:
        return time_of(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_memory(parser: argparse.ArgumentParser, default: str, whose: str = "the machine's") -> None:
    """--memory."""
    parser.add_argument("--memory", metavar="SIZE", help=f"{whose} RAM, as 512M or 4G (default: {default})")


def add_cpus(parser: argparse.ArgumentParser) -> None:
    """--cpus."""
    parser.add_argument("--cpus", metavar="N", type=whole_number, help="its processors (default: 2)")


def add_crashkernel(parser: argparse.ArgumentParser) -> None:
    """--crashkernel, repeatable."""
    parser.add_argument(
        *("--crashkernel",),
        metavar="SPEC",
        action="append",
        default=[],
        help="memory that its kernel has reserved for a crash kernel, as Linux takes it: 256M, 256M@64M, 512M,high,"
        " 512M-2G:64M,2G-:128M (default: none)",
    )


def add_like(parser: argparse.ArgumentParser) -> None:
    """--like."""
    parser.add_argument(
        "--like", metavar="FACTS", type=Path, help="use the machine described by a file that 'warmboot facts' wrote"
    )


def add_json(parser: argparse.ArgumentParser, help_text: str = "print one JSON object") -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help=f"{help_text}, on errors too")


def add_junit(parser: argparse.ArgumentParser) -> None:
    """--junit."""
    parser.add_argument(
        "--junit",
        metavar="FILE",
        type=Path,
        help="write the stages to FILE as JUnit's XML too, which systems for continuous integration show",
    )


def add_html(
    parser: argparse.ArgumentParser, what: str = "memory, time, checks, console and facts, in one file"
) -> None:
    """--html; `what` the page has."""
    parser.add_argument(
        "--html",
        metavar="FILE",
        type=Path,
        help=f"write a page to FILE too: {what} that needs no network",
    )


def whole_number(text: str) -> int:
    """An integer, for argparse, which adds the option's name to the error."""
    from warmboot.numbers import number  # noqa: PLC0415 - few commands have numbers

    value = number(text, least=-_MOST, most=_MOST)
    if value is None:
        raise argparse.ArgumentTypeError(f"{visible(text, most=40)!r} is not an integer")
    return value


def command_line_request(args: argparse.Namespace, *, reused: str | None = None) -> CommandLineRequest:
    """What --command-line and --append ask for; `reused` is a line that is taken over."""
    from warmboot.placement.command_line import CommandLineRequest  # noqa: PLC0415

    return CommandLineRequest(args.append, args.command_line if reused is None else reused)


def size_of(option: str, text: str) -> int:
    """The bytes that an option asks for. Raises InputError, which names the option."""
    from warmboot.memmap import parse_size  # noqa: PLC0415

    try:
        return parse_size(text)
    except InputError as error:
        raise InputError(f"{option}: {error}", hint=error.hint) from None


def facts_asked_for(args: argparse.Namespace) -> Facts:
    """The machine of --like, or of --memory, --cpus and --crashkernel. Raises InputError."""
    from warmboot.memmap import Facts  # noqa: PLC0415
    from warmboot.memmap.crashkernel import parse_crashkernel, with_crash_kernel  # noqa: PLC0415

    if args.cpus is not None and not 1 <= args.cpus <= MOST_CPUS:
        raise InputError(
            f"--cpus {args.cpus}: not from 1 to {MOST_CPUS}", hint="2 are enough to see a secondary processor start"
        )
    if args.like is None:
        facts = Facts.of_pc(size_of("--memory", "1G" if args.memory is None else args.memory), cpus=args.cpus or 2)
        return with_crash_kernel(facts, [parse_crashkernel(each) for each in args.crashkernel])
    if args.memory is not None or args.crashkernel:
        raise InputError(
            "--like already defines the memory and what is reserved",
            hint="omit --memory and --crashkernel, or --like",
        )
    try:
        text = args.like.read_bytes()
    except OSError as error:
        raise InputError(f"{args.like}: cannot be read: {error.strerror}", hint="check the path") from None
    return Facts.from_json(text, str(args.like))


def modernized(arguments: list[str]) -> list[str]:
    """The arguments without old spellings, with a notice of one line on standard error for each."""
    command = next((each for each in arguments if not each.startswith("-")), None)
    if command not in _OLD_KERNEL:
        return arguments
    end = arguments.index("--") if "--" in arguments else len(arguments)
    for at, each in enumerate(arguments[:end]):
        name, equals, value = each.partition("=")
        if name != "--kernel" or (not equals and at + 1 == end):
            continue
        rest = arguments[:at] + arguments[at + (1 if equals else 2) :]
        place = rest.index(command) + 1
        if sys.stderr is not None:
            print(
                f"warmboot: notice: --kernel is not needed any more: warmboot {command} FILE",
                file=sys.stderr,
            )
        return [*rest[:place], value if equals else arguments[at + 1], *rest[place:]]
    return arguments

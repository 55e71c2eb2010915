"""`warmboot debian`: Debian's kernels and a guest root in the cache; the path of each on standard output."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.debian import BUILT, KERNELS, build, cache_folder, guest_root, kernel
from warmboot.report.json.documents import CachedFile, DebianAnswer

__all__ = ["add_parser", "run"]

_WHEN = "Use it to get a real Linux to try things on: kernels and a guest root from Debian's packages."
_ABOUT = """\
The packages come from the Debian mirror that this system's apt uses, and are checked against Debian's keys. They are
unpacked into a cache folder; nothing is installed and no privilege is needed. Files in the cache are used as they are,
without a network; --refresh looks for newer packages."""
_BUILD_ABOUT = """\
It needs make, gcc, flex, bison, bc and libelf-dev, about 2 GB in the cache folder while it runs, and about five minutes
of two cores for the first kernel and one minute for each of the others. They differ in one thing each: """
_EXAMPLES = (
    "warmboot debian fetch",
    'warmboot inspect "$(warmboot debian kernel 6.12)"',
    'warmboot rehearse "$(warmboot debian kernel 6.1)" --initrd "$(warmboot debian initrd)"',
)
_ENVIRONMENT = ("WARMBOOT_CACHE", "WARMBOOT_DEBIAN_MIRROR")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `debian` with its commands."""
    parser = add_command(
        subparsers,
        "debian",
        summary="get Debian's kernels and a guest root",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        environment=_ENVIRONMENT,
    )
    commands = parser.add_subparsers(dest="debian_command", metavar="COMMAND", required=True)
    one = _add(
        commands,
        "kernel",
        summary="one kernel: print the path of its vmlinuz",
        when="Use it to get Debian's newest kernel of a series: 6.1 may be 6.1.0-56-cloud-amd64.",
        examples=("warmboot debian kernel 6.12",),
    )
    one.add_argument("series", metavar="SERIES", help=f"one of {', '.join(KERNELS)}")
    _add(
        commands,
        "initrd",
        summary="the guest root: print the path of its initramfs",
        when="Use it for an initramfs to boot kernels with: it has busybox, Python, kexec, kmod and strace.",
        about="Its /init prints one line, 'warmboot: user space release=... cpus=... acpi=... python=...', and powers"
        " off.",
        examples=("warmboot debian initrd",),
    )
    _add(
        commands,
        "fetch",
        summary="all kernels and the guest root: print the path of each",
        when="Use it to fill the cache with every kernel and the guest root, before a journey without a network.",
        examples=("warmboot debian fetch",),
    )
    built = _add(
        commands,
        "build",
        summary="kernels that hand memory over (KHO, LUO), built here: print the path of each",
        when="Use it to try a handover: Debian's kernels have it off, so Debian's linux-source is built with it.",
        about=_BUILD_ABOUT + "; ".join(f"{name}: {each.about}" for name, each in BUILT.items()) + ".",
        examples=("warmboot debian build kho", "warmboot debian build"),
    )
    built.add_argument("variants", nargs="*", metavar="VARIANT", help=f"which ones (default: all): {', '.join(BUILT)}")
    parser.set_defaults(run=run)


def _add(
    commands: Subparsers[argparse.ArgumentParser],
    name: str,
    *,
    summary: str,
    when: str,
    examples: Sequence[str],
    about: str = "",
) -> argparse.ArgumentParser:
    parser = add_command(
        commands, name, summary=summary, when=when, about=about, examples=examples, environment=_ENVIRONMENT
    )
    parser.add_argument("--cache", type=Path, metavar="DIR", help="the cache folder")
    parser.add_argument("--refresh", action="store_true", help="look for newer packages, even if some are there")
    add_json(parser, "print one JSON object at the end")
    return parser


def run(args: argparse.Namespace) -> int:
    """Do what `args` say; the status is 0. Raises WarmbootError if something cannot be had."""
    files = []
    with _progress():
        for each in _files(args):
            files.append(each)
            if not args.json:
                print(each.path, flush=True)
    if args.json:
        print_json(document("debian", DebianAnswer(tuple(files))))
    return 0


def _files(args: argparse.Namespace) -> Iterator[CachedFile]:
    """Each as soon as it is there."""
    cache = cache_folder(args.cache)
    if args.debian_command == "build":
        images = build(args.variants or tuple(BUILT), cache, refresh=args.refresh)
        yield from (CachedFile(name, str(path)) for name, path in images.items())
        return
    series = {"kernel": [getattr(args, "series", "")], "initrd": [], "fetch": list(KERNELS)}[args.debian_command]
    for name in series:
        yield CachedFile(name, str(kernel(name, cache, refresh=args.refresh)))
    if args.debian_command != "kernel":
        yield CachedFile("initrd", str(guest_root(cache, refresh=args.refresh)))


@contextmanager
def _progress() -> Iterator[None]:
    """Show what is going on, one line a step, on standard error: standard output is for the paths."""
    log = logging.getLogger("warmboot.debian")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("==> %(message)s"))
    level, propagate = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate

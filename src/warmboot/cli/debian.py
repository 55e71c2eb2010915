"""`warmboot debian`: Debian's kernels and a guest root in the cache; the path of each on standard output."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warmboot.debian import KERNELS, cache_folder, guest_root, kernel

__all__ = ["add_parser", "run"]

_DESCRIPTION = """\
Get a real Linux to try things on: kernels and a guest root from Debian's packages.

The packages come from the Debian mirror that this system's apt uses, and are checked by apt against
Debian's keys. They are unpacked into a cache folder; nothing is installed and no privilege is needed.
What is in the cache is used as it is, without a network; --refresh looks for newer packages.
"""

_EPILOG = """\
examples:
  warmboot debian fetch                        everything, before a journey without a network
  warmboot inspect "$(warmboot debian kernel 6.12)"
  warmboot rehearse "$(warmboot debian kernel 6.1)" --initrd "$(warmboot debian initrd)"

environment:
  WARMBOOT_CACHE           the cache folder, if --cache is not given (default: ~/.cache/warmboot)
  WARMBOOT_DEBIAN_MIRROR   a Debian mirror, if not the one that apt uses: the address before /dists
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `debian` with its three commands."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--cache", type=Path, metavar="DIR", help="the cache folder")
    shared.add_argument("--refresh", action="store_true", help="look for newer packages, even if some are there")
    raw = argparse.RawDescriptionHelpFormatter
    parser = subparsers.add_parser(
        "debian",
        help="get Debian's kernels and a guest root",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=raw,
    )
    commands = parser.add_subparsers(dest="debian_command", metavar="COMMAND", required=True)
    one = commands.add_parser(
        "kernel",
        parents=[shared],
        help="one kernel: print the path of its vmlinuz",
        description="Print the path of Debian's kernel of a series, downloading it if it is not in the cache.\n"
        "The newest package of the series is taken: 6.1 may be 6.1.0-56-cloud-amd64.",
        formatter_class=raw,
    )
    one.add_argument("series", metavar="SERIES", help=f"one of {', '.join(KERNELS)}")
    commands.add_parser(
        "initrd",
        parents=[shared],
        help="the guest root: print the path of its initramfs",
        description="Print the path of an initramfs with busybox, Python, kexec, kmod and strace. Its /init\n"
        "prints one line, 'warmboot: user space release=... cpus=... acpi=... python=...', and powers off.",
        formatter_class=raw,
    )
    commands.add_parser(
        "fetch",
        parents=[shared],
        help="all kernels and the guest root: print the path of each",
        description="Fill the cache with every kernel and the guest root, and print the path of each.",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say; the status is 0. Raises WarmbootError if something cannot be had."""
    cache = cache_folder(args.cache)
    series = {"kernel": [getattr(args, "series", "")], "initrd": [], "fetch": list(KERNELS)}[args.debian_command]
    with _progress():
        for name in series:
            print(kernel(name, cache, refresh=args.refresh), flush=True)
        if args.debian_command != "kernel":
            print(guest_root(cache, refresh=args.refresh), flush=True)
    return 0


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

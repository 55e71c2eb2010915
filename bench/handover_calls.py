"""The model against real kernels: kexec_file_load, and live updates by /dev/liveupdate; and on how many they agree.

    python bench/handover_calls.py [KERNEL]... [--calls N] [--seed N] [--only CELL] [--keep FOLDER]

KERNEL is a series of Debian's kernels (5.10, 6.1, 6.12, 7.2), on which files are loaded; a kernel that warmboot builds
(kho), on which live updates are played too; or a file (default: kho). Every call is generated and recorded afresh in
QEMU. --calls is in all, spread over the configurations. The status is 0 only where nothing disagrees.
"""

from __future__ import annotations

import argparse
import lzma
import sys
import time
from collections import Counter
from itertools import count
from pathlib import Path

from warmboot.cli.replay import description, print_lines
from warmboot.debian import KERNELS, kernel, release
from warmboot.machines.guest import GuestError
from warmboot.oracle.calls.file_matrix import FILE_CELLS, HANDOVER_CELLS, ComparedFiles, FileCell
from warmboot.oracle.calls.write_trace import format_contents, format_header, format_row

_SHOWN = 5  # disagreements of a cell


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", default=["kho"])
    parser.add_argument("--calls", type=int, metavar="N", help="on each kernel, instead of each cell's own number")
    parser.add_argument("--only", action="append", metavar="CELL", help="of the cells that are printed")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the traces there, compressed")
    args = parser.parse_args()
    good = True
    for name in args.kernels:
        path, cells = _kernel(name)
        cells = [each for each in cells if not args.only or each.name in args.only]
        print(f"{name}: Linux {release(path)}" if name in KERNELS else f"{name}: {path}", flush=True)
        own = sum(each.calls for each in cells)
        total: Counter[str] = Counter()
        for cell in cells:
            calls = None if args.calls is None else max(1, -(-cell.calls * args.calls // own))
            good &= _cell(name, path, cell, calls, args, total)
        refused = ", ".join(f"{rule} {count}" for rule, count in total.most_common() if rule.islower())
        answered = ", ".join(f"{number} {count}" for number, count in total.most_common() if rule_is_errno(number))
        print(f"  answered: {answered}\n  refused by: {refused}")
        counts = total["calls"], total["calls"] - total["disagree"], total["disagree"]
        print("  {} calls, {} agree, {} disagree".format(*counts), flush=True)
    return 0 if good else 1


def rule_is_errno(name: str) -> bool:
    """Whether a counted name is an errno's."""
    return name.isupper()


def _kernel(name: str) -> tuple[Path, list[FileCell]]:
    if name in KERNELS:
        return kernel(name), list(FILE_CELLS)
    if Path(name).is_file():
        return Path(name), [*HANDOVER_CELLS]
    from warmboot.debian.built import built_kernel  # noqa: PLC0415 - it may take minutes, and others need it not

    return built_kernel(name), [*HANDOVER_CELLS]


def _cell(
    name: str, path: Path, cell: FileCell, calls: int | None, args: argparse.Namespace, total: Counter[str]
) -> bool:
    began = time.monotonic()
    played = count(1)

    def progress() -> None:
        if sys.stderr.isatty():
            print(f"\r  {cell.name}: {next(played)} of {calls or cell.calls}", end="\r", file=sys.stderr, flush=True)

    try:
        guests = cell.run(path, args.seed, calls, progress)
    except GuestError as error:
        print(f"  {cell.name}: {error}", flush=True)
        return False
    results = [each for guest in guests for each in guest.results]
    found = [each for each in results if each is not None]
    spent = time.monotonic() - began
    counts = f"{len(results)} calls, {len(results) - len(found)} agree, {len(found)} disagree"
    print(f"  {cell.name}: {cell.append or 'nothing appended'}: {counts} ({spent:.0f} s)", flush=True)
    for each in found[:_SHOWN]:
        print_lines(description(each))
    for number, guest in enumerate(guests):
        total.update(guest.refusals)
        if args.keep:
            _keep(args.keep, f"linux-{name.strip('/').replace('/', '-')}-{cell.slug}-{number}", guest)
    total.update(calls=len(results), disagree=len(found))
    return bool(results) and not found


def _keep(folder: Path, name: str, found: ComparedFiles) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = (format_row(*each) for each in zip(found.operations, found.answers, strict=True))
    contents = format_contents(found.operations, found.contents)
    text = "".join(f"{line}\n" for line in [format_header(found.facts, found.operations), *contents, *rows])
    (folder / f"{name}.jsonl.xz").write_bytes(lzma.compress(text.encode(), preset=9))


if __name__ == "__main__":
    sys.exit(main())

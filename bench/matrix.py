"""The model against real kernels, configuration by configuration: calls, agreements, and what they covered.

    python bench/matrix.py [SERIES]... [--only CELL]... [--calls N] [--seed N] [--keep FOLDER]

SERIES are of Debian's kernels: 5.10, 6.1, 6.12, 7.2 (default: all). Every call is generated and recorded afresh in
QEMU. The status is 0 only where nothing disagrees and every kind of call that was promised was compared. All takes
about half an hour.
"""

from __future__ import annotations

import argparse
import errno
import lzma
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from warmboot.cli.replay import description, print_lines
from warmboot.debian import KERNELS, kernel, release
from warmboot.machines.guest import GuestError
from warmboot.oracle.calls import busy
from warmboot.oracle.calls.coverage import Coverage, Kind
from warmboot.oracle.calls.matrix import CELLS, Cell, Compared
from warmboot.oracle.calls.write_trace import format_header, format_row

_BUSY = "two callers at once"
_SHOWN = 5  # disagreements of a cell


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", nargs="*", metavar="SERIES")
    names = [*(each.name for each in CELLS), _BUSY]
    parser.add_argument("--only", action="append", choices=names, metavar="CELL", help=f"of: {'; '.join(names)}")
    parser.add_argument("--calls", type=int, metavar="N", help="in each cell, instead of its own number")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the traces there, compressed")
    args = parser.parse_args()
    if unknown := set(args.series) - KERNELS.keys():
        parser.error(f"{', '.join(sorted(unknown))}: SERIES may be {', '.join(KERNELS)}")
    wanted = args.only or names
    good = True
    for series in args.series or KERNELS:
        path = kernel(series)
        print(f"Linux {release(path)}")
        coverage = Coverage()
        for cell in CELLS:
            if cell.name in wanted:
                good &= _cell(series, path, cell, args, coverage)
        if _BUSY in wanted:
            good &= _busy(path, coverage)
        for line in _covered(coverage):
            print(f"    {line}")
    return 0 if good else 1


def _cell(series: str, path: Path, cell: Cell, args: argparse.Namespace, coverage: Coverage) -> bool:
    began = time.monotonic()
    try:
        found = cell.run(path, args.seed, args.calls)
    except GuestError as error:
        print(f"  {cell.name}: {error}", flush=True)
        return False
    coverage.update(found.coverage)
    disagreements = [each for each in found.results if each is not None]
    machine = f"{cell.name}: {cell.memory >> 30} GiB, {cell.append or 'nothing appended'}"
    _line(machine, len(found.results), len(disagreements), began)
    for each in disagreements[:_SHOWN]:
        print_lines(description(each))
    for kind in found.missing:
        print(f"    promised and not compared: {kind}")
    if args.keep:
        _keep(args.keep, f"linux-{series}-{cell.slug}", found)
    return bool(found.results) and not disagreements and not found.missing


def _busy(path: Path, coverage: Coverage) -> bool:
    began = time.monotonic()
    found = busy.compare_callers(path)
    different = [each for each in found if each[1] != each[2]]
    _line(f"{_BUSY}: 1 GiB, {busy.APPEND}", len(found), len(different), began)
    for operation, linux, model in different[:_SHOWN]:
        print(f"{operation}\n  Linux: {linux}\n  model: {model}")
    refused = sum(linux.ret == -errno.EBUSY and linux == model for _, linux, model in found)
    coverage.kinds[Kind.BUSY] += refused
    return not different and refused > 0


def _line(what: str, calls: int, disagree: int, began: float) -> None:
    spent = time.monotonic() - began
    print(f"  {what}: {calls} calls, {calls - disagree} agree, {disagree} disagree ({spent:.0f} s)", flush=True)


def _covered(coverage: Coverage) -> Iterator[str]:
    for kind in Kind:
        if coverage.kinds[kind]:
            yield f"{coverage.kinds[kind]:6} {kind}"
    rules = ", ".join(f"{name} {count}" for name, count in coverage.rules.most_common())
    yield f"refused by: {rules}"


def _keep(folder: Path, name: str, found: Compared) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = (format_row(*each) for each in zip(found.operations, found.answers, strict=True))
    text = "".join(f"{line}\n" for line in [format_header(found.facts), *rows])
    (folder / f"{name}.jsonl.xz").write_bytes(lzma.compress(text.encode(), preset=9))


if __name__ == "__main__":
    sys.exit(main())

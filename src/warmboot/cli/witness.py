"""`warmboot witness`: what a new kernel finds under real Linux and under the model, for random images."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from warmboot.cli.record import memory_of
from warmboot.cli.replay import profile_named
from warmboot.errors import ExitStatus, InputError
from warmboot.oracle.witness.layouts import Layout, generate
from warmboot.oracle.witness.statement import Statement
from warmboot.oracle.witness.witness import Verdict, Witness

__all__ = ["add_parser", "describe", "run"]

_DESCRIPTION = """\
Load the same random images on a real kernel in QEMU and on the model, and jump to them: by reboot, and by a
panic. The image is a witness of our own. It reports every register, what the page tables map, and the digest
of every destination; what both reports say is compared. A disagreement is shown whole.
The same seed and number give the same image on the same machine.
"""
_MEMORY, _LARGE_MEMORY = 512 << 20, 5 << 30
_LARGE_EVERY = 5  # layouts
_TOLD_EVERY = 20


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `witness`."""
    parser = subparsers.add_parser(
        "witness",
        help="what a new kernel finds, on a real kernel and on the model, compared",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kernel", type=Path, required=True, metavar="VMLINUZ", help="the kernel to boot")
    parser.add_argument("--layouts", type=int, default=100, metavar="N", help="normal images (default: 100)")
    parser.add_argument("--crash", type=int, default=20, metavar="N", help="crash images (default: 20)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the images (default: 1)")
    parser.add_argument("--first", type=int, default=1, metavar="N", help="number of the first of each (default: 1)")
    parser.add_argument(
        "--memory", metavar="SIZE", help="the guest's memory (default: 512M, and 5G for one layout in five)"
    )
    parser.add_argument("--profile", metavar="NAME", help="a release's rules, if not those of the kernel")
    parser.add_argument("--json", action="store_true", help="print each disagreement and the counts as JSON Lines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask all witnesses. Raises WarmbootError where the kernel does not boot."""
    if args.layouts < 0 or args.crash < 0 or args.first < 1:
        raise InputError("a negative number of layouts", hint="--layouts 100 --crash 20 --first 1")
    total = args.layouts + args.crash
    disagree = 0
    for done, verdict in enumerate(_verdicts(args), 1):
        if verdict.differences:
            disagree += 1
            print(json.dumps(_members(verdict)) if args.json else describe(verdict), flush=True)
        _tell(done, total, disagree)
    if args.json:
        print(json.dumps({"layouts": total, "agree": total - disagree, "disagree": disagree}))
    else:
        print(f"{total} layouts, {total - disagree} agree, {disagree} disagree")
    return ExitStatus.DONE if total and not disagree else ExitStatus.REFUSED


def _tell(done: int, total: int, disagree: int) -> None:
    """How far it is: on one line of a terminal, now and then in a file."""
    again = sys.stderr.isatty() and done < total
    if again or done % _TOLD_EVERY == 0 or done == total:
        end = "\r" if again else "\n"
        print(f"{done} of {total} layouts, {disagree} disagree", end=end, file=sys.stderr, flush=True)


def _verdicts(args: argparse.Namespace) -> Iterator[Verdict]:
    """One machine after the other, so that there is one guest at a time."""
    wanted = [(number, False) for number in range(args.first, args.first + args.layouts)]
    wanted += [(number, True) for number in range(args.first, args.first + args.crash)]
    profile = profile_named(args.profile)
    sizes = (_MEMORY, _LARGE_MEMORY) if args.memory is None else (memory_of(args),)
    for size in sizes:
        here = [each for each in wanted if sizes[each[0] % _LARGE_EVERY == 0 and len(sizes) > 1] == size]
        if not here:
            continue
        with Witness(args.kernel, memory=size) as witness:
            for number, crash in here:
                yield witness.ask(generate(witness.facts, args.seed, number, crash=crash), profile)


def describe(verdict: Verdict) -> str:
    """A disagreement, whole: the layout, what differs, and both reports."""
    layout = verdict.layout
    lines = [f"{_name(layout)}: entry {layout.entry:#x}, {len(layout.pieces)} segments"]
    for number, each in enumerate(layout.pieces):
        source = "the witness" if each.is_witness else f"the pattern from {each.offset}"
        lines.append(f"  segment {number}: {each.bufsz} bytes of {source} at {each.mem:#x}, {each.memsz:#x} bytes")
    lines += [f"  {each}" for each in verdict.differences]
    for name, statement in (("Linux", verdict.linux), ("model", verdict.model)):
        if isinstance(statement, Statement):
            lines += [f"  {name} | {line}" for line in _told(statement)]
    return "\n".join(lines)


def _name(layout: Layout) -> str:
    kind = "crash image" if layout.crash else "image"
    return f"{kind} {layout.number} of seed {layout.seed}"


def _told(statement: Statement) -> Iterator[str]:
    registers = [f"{name} {value:x}" for name, value in statement.registers.items()]
    for start in range(0, len(registers), 8):
        yield "  ".join(registers[start : start + 8])
    yield from (f"mapped {each}" for each in statement.mapping)
    yield f"top of the stack {statement.stack:x}"
    yield from (f"range {start:#x}-{end:#x} {digest}" for start, end, digest in statement.digests)


def _members(verdict: Verdict) -> dict[str, object]:
    return {
        "layout": asdict(verdict.layout),
        "differences": [asdict(each) for each in verdict.differences],
        "linux": _report(verdict.linux),
        "model": _report(verdict.model),
    }


def _report(statement: Statement | str) -> object:
    return statement if isinstance(statement, str) else asdict(statement)

"""`warmboot witness`: what a new kernel finds under real Linux and under the model, for random images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import add_json, add_kernel, add_memory, add_profile, whole_number
from warmboot.cli.parser import Subparsers, add_command
from warmboot.cli.profiles import profile_named
from warmboot.cli.record import QEMU_VARIABLES, memory_of
from warmboot.cli.replay import AGREE, print_lines
from warmboot.errors import ExitStatus, InputError
from warmboot.oracle.witness.layouts import WitnessLayout, generate
from warmboot.oracle.witness.statement import Statement
from warmboot.oracle.witness.witness import Verdict, Witness
from warmboot.report.json.documents import LayoutCounts

__all__ = ["add_parser", "description", "run"]

_WHEN = "Use it to compare what a loaded image finds when it is entered, under a real kernel and under the model."
_ABOUT = """\
The same random images are loaded on both, in QEMU and in this process, and jumped to, by reboot and by a panic. The
image is a witness of our own: it reports every register, what the page tables map, and the digest of every destination.
A disagreement is shown whole. The same seed and number give the same image on the same machine."""
_EXAMPLES = ("warmboot witness vmlinuz --layouts 10 --crash 2", "warmboot witness vmlinuz --memory 1G --json")
_MEMORY, _LARGE_MEMORY = 512 << 20, 5 << 30
_LARGE_EVERY = 5  # layouts
_REPORT_EVERY = 20


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `witness`."""
    parser = add_command(
        subparsers,
        "witness",
        summary="what a new kernel finds, on a real kernel and on the model, compared",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses=AGREE,
        environment=QEMU_VARIABLES,
    )
    add_kernel(parser, "the kernel to boot")

    def number(name: str, default: int, what: str) -> None:
        parser.add_argument(name, type=whole_number, default=default, metavar="N", help=f"{what} (default: {default})")

    number("--layouts", 100, "normal images")
    number("--crash", 20, "crash images")
    number("--seed", 1, "seed of the images")
    number("--first", 1, "number of the first image of each kind")
    add_memory(parser, "512M, and 5G for one layout in five", "the guest's")
    add_profile(parser)
    add_json(parser, "print each disagreement, and at the end the counts, as JSON Lines")
    parser.set_defaults(run=run, uses_qemu=True)


def run(args: argparse.Namespace) -> int:
    """Ask all witnesses. Raises WarmbootError where the kernel does not boot."""
    if args.layouts < 0 or args.crash < 0 or args.first < 1:
        raise InputError("a negative number of layouts", hint="--layouts 100 --crash 20 --first 1")
    total = args.layouts + args.crash
    disagree = 0
    for done, verdict in enumerate(_verdicts(args), 1):
        if verdict.differences:
            disagree += 1
            if args.json:
                print_json(document("witness", verdict, uses_qemu=True), one_line=True)
            else:
                print_lines(description(verdict))
        _report_progress(done, total, disagree)
    if args.json:
        counts = LayoutCounts(total, total - disagree, disagree)
        print_json(document("witness", counts, uses_qemu=True), one_line=True)
    else:
        print(f"{total} layouts, {total - disagree} agree, {disagree} disagree")
    return ExitStatus.DONE if total and not disagree else ExitStatus.REFUSED


def _report_progress(done: int, total: int, disagree: int) -> None:
    """Report progress: on one line of a terminal, every few layouts in a file."""
    again = sys.stderr.isatty() and done < total
    if again or done % _REPORT_EVERY == 0 or done == total:
        end = "\r" if again else "\n"
        print(f"{done} of {total} layouts, {disagree} disagree", end=end, file=sys.stderr, flush=True)


def _verdicts(args: argparse.Namespace) -> Iterator[Verdict]:
    """One machine after another, so that only one guest runs at a time."""
    layouts = [(each, False) for each in range(args.first, args.first + args.layouts)]
    layouts += [(each, True) for each in range(args.first, args.first + args.crash)]
    profile = profile_named(args.profile)
    sizes = (_MEMORY, _LARGE_MEMORY) if args.memory is None else (memory_of(args),)
    for size in sizes:
        here = [each for each in layouts if sizes[each[0] % _LARGE_EVERY == 0 and len(sizes) > 1] == size]
        if not here:
            continue
        with Witness(args.kernel, memory=size) as witness:
            for number, crash in here:
                yield witness.ask(generate(witness.facts, args.seed, number, crash=crash), profile)


def description(verdict: Verdict) -> list[str]:
    """A disagreement, whole: the layout, what differs, and both reports."""
    layout = verdict.layout
    lines = [f"{_name(layout)}: entry {layout.entry:#x}, {len(layout.pieces)} segments"]
    for number, each in enumerate(layout.pieces):
        source = "the witness" if each.is_witness else f"the pattern from {each.offset}"
        lines.append(f"  segment {number}: {each.bufsz} bytes of {source} at {each.mem:#x}, {each.memsz:#x} bytes")
    lines += [f"  {each}" for each in verdict.differences]
    for name, statement in (("Linux", verdict.linux), ("model", verdict.model)):
        if isinstance(statement, Statement):
            lines += [f"  {name} | {line}" for line in _statement_lines(statement)]
    return lines


def _name(layout: WitnessLayout) -> str:
    kind = "crash image" if layout.crash else "image"
    return f"{kind} {layout.number} of seed {layout.seed}"


def _statement_lines(statement: Statement) -> Iterator[str]:
    registers = [f"{name} {value:x}" for name, value in statement.registers.items()]
    for start in range(0, len(registers), 8):
        yield "  ".join(registers[start : start + 8])
    yield from (f"mapped {each}" for each in statement.mapping)
    yield f"top of the stack {statement.stack:x}"
    yield from (f"range {start:#x}-{end:#x} {digest}" for start, end, digest in statement.digests)

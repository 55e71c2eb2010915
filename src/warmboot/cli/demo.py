"""`warmboot demo`: a tiny kernel, loaded and run in this process."""

from __future__ import annotations

import argparse
import time

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import ExitStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.rehearsal.demo import Demo
    from warmboot.report.json.documents import DemoAnswer

__all__ = ["add_parser", "run"]

_MEMORY = 256 << 20

_WHEN = "Use it first: it shows in a second, with nothing installed but the package, what warmboot does."
_ABOUT = """\
A tiny kernel that is part of the package is loaded on a machine of 256 MiB, handed over to, and run, all in this
process. It prints the registers and the memory map that it was given, and the SHA-256 of every destination, over
its serial port."""


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `demo`."""
    parser = add_command(
        subparsers,
        "demo",
        summary="a tiny kernel, loaded and run in this process",
        when=_WHEN,
        about=_ABOUT,
        examples=("warmboot demo", "warmboot demo --json"),
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError where something goes wrong."""
    from warmboot.machines.machine import Machine  # noqa: PLC0415 - only when it runs, as below
    from warmboot.rehearsal.demo import demo  # noqa: PLC0415

    began = time.monotonic()
    with Machine.of_pc(_MEMORY) as machine:
        seen = demo(machine)
    answer = _answer(seen, time.monotonic() - began)
    if args.json:
        print_json(document("demo", answer))
    else:
        _print(seen, answer)
    return answer.exit_status


def _answer(seen: Demo, seconds: float) -> DemoAnswer:
    from warmboot.report.json.documents import DemoAnswer, DemoDigest  # noqa: PLC0415

    verdict = "the kernel ran, but not every digest is the expected one"
    if seen.agrees:
        verdict = f"the kernel ran, and found every byte where it belongs ({seconds:.2f} s)"
    return DemoAnswer(
        verdict=verdict,
        exit_status=ExitStatus.DONE if seen.agrees else ExitStatus.REFUSED,
        instructions=seen.hand_over.instructions,
        pages=seen.pages,
        registers=seen.hand_over.state.as_dict(),
        digests=tuple(DemoDigest(*each) for each in seen.digests),
        serial=seen.serial,
    )


def _print(seen: Demo, answer: DemoAnswer) -> None:
    from warmboot.report.text.terminal import Terminal  # noqa: PLC0415
    from warmboot.report.text.words import size_text, table  # noqa: PLC0415

    terminal = Terminal()

    def show(name: str, *lines: str) -> None:
        for line in lines:
            terminal.line(terminal.bold(name), " " * (10 - len(name)), line, indent=10)
            name = ""

    rows = [("segment", "physical address", "memory")]
    for each in seen.placement.request.segments:
        rows.append((each.name, f"{each.mem:#011x}-{each.end - 1:#011x}", size_text(each.memsz)))
    show("place", *table(rows, right=(2,)))
    show("load", f"{answer.pages} pages allocated by the kernel's side of kexec_load")
    show("hand over", f"{answer.instructions} instructions executed, digests verified")
    show("serial", "what the new kernel says:")
    for line in answer.serial.splitlines():
        terminal.line(terminal.faint(f"  | {line}"), indent=4)
    verdict = terminal.good(answer.verdict) if seen.agrees else terminal.bad(answer.verdict)
    terminal.line(terminal.bold("verdict"), "   ", verdict, indent=10)

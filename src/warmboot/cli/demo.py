"""`warmboot demo`: a tiny kernel, loaded and run in this process."""

from __future__ import annotations

import argparse
import json
import time

from warmboot.errors import ExitStatus
from warmboot.machines.machine import Machine
from warmboot.rehearsal.demo import demo
from warmboot.report.text.terminal import Terminal, size_text, table

__all__ = ["add_parser", "run"]

_MEMORY = 256 << 20

_DESCRIPTION = """\
Load a tiny kernel that is part of this package on a machine of 256 MiB, hand over to it, and run
it: all in this process, with nothing installed but the package. The kernel prints the registers
and the memory map that it was given, and the SHA-256 of every destination, over its serial port.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `demo`."""
    parser = subparsers.add_parser(
        "demo",
        help="a tiny kernel, loaded and run in this process",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError where something goes wrong."""
    began = time.monotonic()
    with Machine.of_pc(_MEMORY) as machine:
        seen = demo(machine)
    seconds = time.monotonic() - began
    status = ExitStatus.DONE if seen.agrees else ExitStatus.REFUSED
    verdict = (
        f"the kernel ran, and found every byte where it belongs ({seconds:.2f} s)"
        if seen.agrees
        else "the kernel ran, but not every digest is the expected one"
    )
    if args.json:
        registers = seen.hand_over.state.as_dict()
        figures = {"instructions": seen.hand_over.instructions, "pages": seen.pages, "registers": registers}
        digests = [{"segment": name, "mem": address, "sha256": digest} for name, address, digest in seen.digests]
        print(json.dumps({"verdict": verdict, **figures, "digests": digests, "serial": seen.serial}, indent=2))
        return status
    terminal = Terminal()
    rows = [("segment", "physical address", "memory")]
    for each in seen.placement.request.segments:
        rows.append((each.name, f"{each.mem:#011x}-{each.end - 1:#011x}", size_text(each.memsz)))
    place, *more = table(rows, right=(2,))
    terminal.line(f"{terminal.bold('place')}     {place}")
    for line in more:
        terminal.line(f"          {line}")
    terminal.line(f"{terminal.bold('load')}      {seen.pages} pages allocated by the kernel's side of kexec_load")
    terminal.line(f"{terminal.bold('hand over')} {seen.hand_over.instructions} instructions executed, SHA-256 verified")
    terminal.line(f"{terminal.bold('serial')}    what the new kernel says:")
    for line in seen.serial.splitlines():
        terminal.line(terminal.faint(f"  | {line}"))
    colour = terminal.good if seen.agrees else terminal.bad
    terminal.line(f"{terminal.bold('verdict')}   {colour(verdict)}")
    return status

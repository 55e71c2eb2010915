"""A new kernel that nobody hears: its command line names no serial console."""

from __future__ import annotations

import re
from collections.abc import Iterator

from warmboot.risks.risk import LIKELY, POSSIBLE, Risk, Told
from warmboot.risks.told import lines

__all__ = ["silence"]

_SERIAL = re.compile(r"console=(?:tty[A-Z]+[0-9]+|hvc[0-9]+|uart)|earlycon|earlyprintk")
_PORT = re.compile(r"tty[A-Z]+[0-9]+|hvc[0-9]+")


def silence(told: Told, command_line: str) -> Iterator[Risk]:
    """Likely where the running kernel does write to a serial port."""
    if _SERIAL.search(command_line) is not None:
        return
    what = "a serial port" if "console=" in command_line else "any kind"
    lacks = "no console= of a serial port" if "console=" in command_line else "no console="
    subject = f"the new command line has no console of {what}"
    port = next((each for each in lines(told, "consoles") if _PORT.fullmatch(each)), None)
    if port is not None:
        seen = f"the running kernel writes to {port}, and the new command line has {lacks}: nobody sees a failure"
        yield Risk("no_console", LIKELY, subject, seen)
    else:
        seen = f"the command line that is known has {lacks}: nobody sees why a start fails"
        yield Risk("no_console", POSSIBLE, subject, seen)

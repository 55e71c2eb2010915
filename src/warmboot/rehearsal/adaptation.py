"""What is added to a command line so that the boot can be followed."""

from __future__ import annotations

from warmboot.command_line import parse
from warmboot.errors import InputError

__all__ = ["seen_on_serial"]


def seen_on_serial(command_line: str, limit: int, *, early: bool = False) -> tuple[str, str]:
    """The command line with what a boot needs to be followed on the serial port, and what was added.

    `early` is for following it from the kernel's first code on.
    Raises InputError where the kernel would take the first, of `limit` bytes at most, but not the second.
    """
    given = parse(command_line)
    added = []
    if not any(each == "ttyS0" or each.startswith("ttyS0,") for each in given.all("console")):
        added.append("console=ttyS0")
    if given.get("quiet") is not None or given.get("loglevel") is not None:
        added.append("loglevel=7")
    if early and given.get("earlyprintk") is None and given.get("earlycon") is None:
        added.append("earlyprintk=ttyS0,115200")
    if not added:
        return command_line, ""
    text = " ".join(added)
    line = str(given.with_parameters(text))
    if len(_encoded(line)) > limit >= len(_encoded(command_line)):
        raise InputError(
            f"the command line has {len(_encoded(command_line))} bytes, and {text!r}, without which the boot cannot"
            f" be followed, makes it longer than {limit}",
            hint="make it shorter, or leave out the boot by --no-boot",
        )
    return line, text


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")

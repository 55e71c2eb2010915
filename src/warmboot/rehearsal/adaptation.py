"""What is changed so that QEMU can be the machine and the boot can be followed, each change in words."""

from __future__ import annotations

from dataclasses import replace

from warmboot.command_line import parse
from warmboot.errors import InputError
from warmboot.machines.arch.x86_64.pc import MAX_LOW
from warmboot.machines.machine import Machine
from warmboot.memmap import Facts, Range

__all__ = ["as_in_qemu", "firmware_s_part", "seen_on_serial"]

_4G = 1 << 32
_RSDP_SIZE = 36  # bytes, since ACPI 2.0


def as_in_qemu(facts: Facts, cpus: int) -> tuple[Facts, list[str]]:
    """The machine as QEMU can be one, and in what that differs from the facts."""
    differs = []
    low_ram = max((each.end for each in facts.system_ram if each.end <= _4G), default=0)
    if low_ram > MAX_LOW:  # old chipsets go up to 3.5 GiB
        facts = facts.reserve(Range(MAX_LOW, low_ram))
        differs.append(f"RAM from {MAX_LOW:#x} to 4 GiB is left out")
    if facts.la57:  # the stub that QEMU is entered by has 4-level page tables, and no way leads from one to the other
        facts = replace(facts, la57=False)
        differs.append("4-level page tables, not 5")
    room = Machine.firmware_room_of(facts)
    if facts.rsdp + _RSDP_SIZE > room.start and facts.rsdp:
        facts = replace(facts, rsdp=0)
        differs.append("ACPI's root pointer is where QEMU's firmware puts it")
    if cpus != facts.cpus:
        differs.append(f"{cpus} of {facts.cpus} processors")
    return facts, differs


def firmware_s_part(facts: Facts, machine: Machine) -> list[str]:
    """RAM of the facts that the machine's firmware takes, if any."""
    taken = any(each.overlaps(machine.firmware_room) for each in facts.system_ram)
    return [f"RAM at {machine.firmware_room} is the firmware's"] if taken else []


def seen_on_serial(command_line: str, limit: int) -> tuple[str, str]:
    """The command line with what a boot needs to be followed on the serial port, and what was added.

    Raises InputError where the kernel would take the first, of `limit` bytes at most, but not the second.
    """
    given = parse(command_line)
    added = []
    if not any(each == "ttyS0" or each.startswith("ttyS0,") for each in given.all("console")):
        added.append("console=ttyS0")
    if given.get("quiet") is not None or given.get("loglevel") is not None:
        added.append("loglevel=7")
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

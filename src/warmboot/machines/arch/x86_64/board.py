"""The PC in QEMU that is most like the machine of some facts."""

from __future__ import annotations

from dataclasses import replace

from warmboot.machines.arch.interface import Board
from warmboot.machines.arch.x86_64.pc import FIRMWARE_ROOM, FOUR_GIB, MAX_LOW, Pc
from warmboot.machines.arch.x86_64.pvh import MAPPED
from warmboot.memmap import Facts, Range
from warmboot.uapi import PAGE_SIZE

__all__ = ["board"]

_RSDP_SIZE = 36  # bytes, since ACPI 2.0
_MOST_HIGH = MAPPED - FOUR_GIB  # bytes: the stub jumps to no control page beyond what it maps


def board(facts: Facts, cpus: int, most: int) -> Board:
    """See MachineArch.board. QEMU's PC has RAM in two pieces, from 0 and from 4 GiB on."""
    differs = []
    low_ram = max((min(each.end, FOUR_GIB) for each in facts.system_ram if each.start < FOUR_GIB), default=0)
    if low_ram > MAX_LOW:  # old chipsets go up to 3.5 GiB
        facts = facts.reserve(Range(MAX_LOW, low_ram))
        differs.append(f"RAM from {MAX_LOW:#x} to {low_ram:#x} is left out")
        low_ram = MAX_LOW
    if facts.la57:  # the stub that QEMU is entered by has 4-level page tables, and no way leads from one to the other
        facts = replace(facts, la57=False)
        differs.append("4-level page tables, not 5")
    low_ram = _whole_pages(low_ram)
    low = low_ram + FIRMWARE_ROOM if low_ram + FIRMWARE_ROOM <= MAX_LOW else low_ram
    high = _high_end(facts, most - low_ram) - FOUR_GIB
    computer = Pc(low, high, cpus)
    room = computer.firmware_room
    if facts.rsdp and facts.rsdp + _RSDP_SIZE > room.start:
        facts = replace(facts, rsdp=0)
        differs.append("ACPI's root pointer is where QEMU's firmware puts it")
    if any(each.overlaps(room) for each in facts.system_ram):
        differs.append(f"RAM at {room} is the firmware's")
    facts = facts.reserve(room)
    host = facts
    last = max(each.end for each in facts.system_ram)
    if last > FOUR_GIB + high:
        beyond = Range(FOUR_GIB + high, last)
        host = facts.reserve(beyond)
        lost = sum(each.size for each in facts.system_ram) - sum(each.size for each in host.system_ram)
        differs.append(f"{lost >> 20} MiB of RAM from {beyond.start:#x} on are left out: QEMU cannot have them here")
    if cpus != facts.cpus:
        differs.append(f"{cpus} of {facts.cpus} processors")
    return Board(computer, facts, host, tuple(differs))


def _high_end(facts: Facts, most: int) -> int:
    """Where RAM from 4 GiB on ends if there are `most` bytes of it, and no address that the stub cannot have."""
    end = FOUR_GIB
    for each in facts.system_ram:
        start = max(each.start, FOUR_GIB)
        if each.end > start and most > 0 and start < FOUR_GIB + _MOST_HIGH:
            end = min(each.end, start + most // PAGE_SIZE * PAGE_SIZE, FOUR_GIB + _MOST_HIGH)
            most -= end - start
    return _whole_pages(end)


def _whole_pages(address: int) -> int:
    return -(-address // PAGE_SIZE) * PAGE_SIZE

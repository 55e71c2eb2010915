"""The PC in QEMU that is most like the machine of some facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from warmboot.machines.arch.interface import Board
from warmboot.machines.arch.x86_64.efi import FIRMWARE_VARIABLE, INSTALL_HINT, find_firmware
from warmboot.machines.arch.x86_64.mailbox import MAPPED
from warmboot.machines.arch.x86_64.numa import nodes_of
from warmboot.machines.arch.x86_64.pc import FIRMWARE_ROOM, FOUR_GIB, MAX_LOW, Pc
from warmboot.memmap import Facts, NumaNode, Range
from warmboot.uapi import PAGE_SIZE

__all__ = ["board"]

_UNIT = 8192  # bytes
_RSDP_SIZE = 36  # bytes, since ACPI 2.0
_CPUS = 2  # enough to see that a second one starts
_MOST_CPUS = 8  # unless asked for: each one that is emulated takes its time to start
_MOST_HIGH = MAPPED - FOUR_GIB  # bytes: the stub jumps to no control page beyond what it maps


def board(facts: Facts, cpus: int | None, most: int) -> Board:
    """See MachineArch.board. QEMU's PC has RAM in two pieces, from 0 and from 4 GiB on."""
    given, host, differs = facts, facts.host, []
    low_ram = max((min(each.end, FOUR_GIB) for each in host.system_ram if each.start < FOUR_GIB), default=0)
    if low_ram > MAX_LOW:  # old chipsets go up to 3.5 GiB
        facts, host = (each.reserve(Range(MAX_LOW, low_ram)) for each in (facts, host))
        differs.append(f"RAM from {MAX_LOW:#x} to {low_ram:#x} is left out")
        low_ram = MAX_LOW
    low_ram = _rounded(low_ram)
    low = low_ram + FIRMWARE_ROOM if low_ram + FIRMWARE_ROOM <= MAX_LOW else low_ram
    high = _high_end(host, most - low_ram) - FOUR_GIB
    computer = Pc(low, high, bits=facts.physical_address_bits or 0)
    room = computer.firmware_room
    if any(each.overlaps(room) for each in host.system_ram):
        differs.append(f"RAM at {room} is the firmware's")
    facts, host = facts.reserve(room), host.reserve(room)
    last = max(each.end for each in host.system_ram)
    if last > FOUR_GIB + high:
        beyond = Range(FOUR_GIB + high, last)
        whole, host = host, host.reserve(beyond)
        lost = sum(each.size for each in whole.system_ram) - sum(each.size for each in host.system_ram)
        differs.append(f"{lost >> 20} MiB of RAM from {beyond.start:#x} on are left out: QEMU cannot have them here")
    computer, more = _parts(given, host, computer, cpus)
    differs += more
    rsdp = facts.rsdp if facts.rsdp + _RSDP_SIZE <= room.start and not computer.efi else 0
    if rsdp != facts.rsdp:
        differs.append("ACPI's root pointer is where QEMU's firmware puts it")
    # The stub that QEMU is entered by has 4-level page tables, and no way leads from one to the other.
    facts, host = (replace(each, la57=False, rsdp=rsdp) for each in (facts, host))
    return Board(computer, facts, host, tuple(differs))


def _parts(facts: Facts, host: Facts, computer: Pc, cpus: int | None) -> tuple[Pc, list[str]]:
    """Firmware, processors and NUMA nodes, and in what they differ from the facts."""
    differs = []
    efi = find_firmware() if facts.efi else None
    if facts.efi is None:
        differs.append("legacy firmware: whether the machine has EFI is not known")
    elif facts.efi and efi is None:
        differs.append(f"legacy firmware, not EFI: no OVMF is found ({INSTALL_HINT}, or {FIRMWARE_VARIABLE})")
    if facts.secure_boot:
        differs.append("Secure Boot is off; what it forbids is asked of the model")
    if facts.la57:
        differs.append("4-level page tables, not 5")
    if not facts.gbpages:
        differs.append("the processor has 1 GiB pages")
    nodes = [each for each in facts.numa_nodes or () if each.cpus or each.memory]
    count = cpus or min(facts.cpus, _MOST_CPUS, max(_CPUS, len([each for each in nodes if each.cpus])))
    if count != facts.cpus:
        differs.append(f"{count} of {facts.cpus} processors")
    made, more = _nodes(nodes, count, host.system_ram)
    return replace(computer, cpus=count, efi=efi, nodes=tuple(made)), differs + more


def _nodes(nodes: list[NumaNode], cpus: int, ram: Sequence[Range]) -> tuple[list[NumaNode], list[str]]:
    """The computer's NUMA nodes, none where there is but one, and in what they differ."""
    if len(nodes) < 2:
        return [], []
    if not any(each.memory for each in nodes):
        return [], [f"one NUMA node, not {len(nodes)}: which has which memory is not known"]
    made, differs = nodes_of(nodes, cpus, ram), []
    pairs = list(zip(made, nodes, strict=True))
    if bare := [str(each.node) for each, was in pairs if was.memory and not each.memory]:
        differs.append(f"NUMA nodes without their RAM: {', '.join(bare)}")
    if idle := [str(each.node) for each, was in pairs if was.cpus and not each.cpus]:
        differs.append(f"NUMA nodes without a processor: {', '.join(idle)}")
    return made, differs


def _high_end(facts: Facts, most: int) -> int:
    """Where RAM from 4 GiB on ends if there are `most` bytes of it, and no address that the stub cannot have."""
    end = FOUR_GIB
    for each in facts.system_ram:
        start = max(each.start, FOUR_GIB)
        if each.end > start and most > 0 and start < FOUR_GIB + _MOST_HIGH:
            end = min(each.end, start + most // PAGE_SIZE * PAGE_SIZE, FOUR_GIB + _MOST_HIGH)
            most -= end - start
    return _rounded(end)


def _rounded(address: int) -> int:
    """Up to what QEMU has RAM in: by itself it rounds what -m says up, and refuses a memory file of another size."""
    return -(-address // _UNIT) * _UNIT

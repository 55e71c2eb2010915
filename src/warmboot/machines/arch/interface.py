"""What the machines of an architecture bring: a processor in this process, and a computer for QEMU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from warmboot.kernel import CpuState, PhysicalMemory
from warmboot.memmap import Efi, Facts, Range, merge
from warmboot.records import dataclass

if TYPE_CHECKING:
    import unicorn

__all__ = ["Accel", "Board", "Computer", "Emulation", "FirmwareTold", "MachineArch", "Mailbox", "Probe", "Translate"]


class Accel(StrEnum):
    """QEMU's name of an accelerator."""

    TCG = "tcg"
    KVM = "kvm"


# A virtual address and the processor: the physical address of its 4 KiB page, and whether it may be written; None
# where nothing is mapped.
Translate = Callable[["unicorn.Uc", int], tuple[int, bool] | None]


class Emulation(Protocol):
    """How Unicorn becomes a processor of the architecture."""

    @property
    def reach(self) -> int:
        """The first physical address that the emulator's own address translation cannot have."""
        ...

    def processor(self, serial: bytearray) -> unicorn.Uc:
        """A fresh processor without memory; what it writes to the serial port goes to `serial`."""
        ...

    def write(self, processor: unicorn.Uc, state: CpuState) -> None:
        """Set all registers but the program counter."""
        ...

    def read(self, processor: unicorn.Uc) -> CpuState:
        """All registers, of a processor that has stopped."""
        ...

    def watch(self, processor: unicorn.Uc, state: CpuState) -> CpuState:
        """`state` with the general registers as they are while the processor runs."""
        ...

    def pc(self, processor: unicorn.Uc) -> int:
        """The program counter."""
        ...

    def translation(self, memory: PhysicalMemory) -> Translate:
        """The architecture's page tables, walked by us: for addresses beyond `reach`."""
        ...


@dataclass(frozen=True, slots=True)
class FirmwareTold:
    """What a computer's firmware leaves when it is done. Addresses are physical."""

    rsdp: int  # ACPI's root pointer
    kept: tuple[Range, ...] = ()  # memory that stays firmware's, sorted
    efi: Efi | None = None


class Mailbox(Protocol):
    """What a computer's parked boot processor shares with us."""

    def ready(self) -> bool:
        """Whether the firmware is done and the processor waits. Raises RefusedError where it cannot go on."""
        ...

    def told(self, memory: PhysicalMemory) -> FirmwareTold:
        """What the firmware left in the computer's memory, once it is ready. Raises RefusedError for what is none."""
        ...

    def release(self, state: CpuState, *, rsdp_copy: int = 0) -> None:
        """Hand the processor to `state`; only when it is ready. A copy of the RSDP goes to `rsdp_copy`, if not 0."""
        ...

    def close(self) -> None:
        """Let go of the memory."""
        ...


class Computer(Protocol):
    """A computer that QEMU can be. Its memory is one file: the bytes of `banks`, one after the other."""

    @property
    def machine(self) -> str:
        """Its architecture, as `uname -m` names it."""
        ...

    @property
    def cpus(self) -> int:
        """Its processors."""
        ...

    @property
    def banks(self) -> Sequence[Range]:
        """Where its memory is, physical."""
        ...

    @property
    def firmware_room(self) -> Range:
        """What of it is the firmware's, physical, until the processor is released."""
        ...

    @property
    def stub_room(self) -> Range:
        """Where the stub lies that parks the boot processor, and through which it is handed over."""
        ...

    @property
    def description(self) -> str:
        """Its parts in few words, such as "2 processors, 1024 MiB"."""
        ...

    @property
    def loads_late(self) -> bool:
        """Whether firmware may use all RAM until it is done, so that nothing must be loaded before."""
        ...

    def files(self) -> Mapping[str, bytes]:
        """Files that QEMU reads while it starts, by a name of our own."""
        ...

    def options(self, accel: Accel, memory: str, files: Mapping[str, str]) -> list[str]:
        """QEMU's options, with the paths of the memory file and of `files`."""
        ...

    def mailbox(self, memory_fd: int) -> Mailbox:
        """The mailbox in the memory file, made empty."""
        ...


@dataclass(frozen=True, slots=True)
class Board:
    """The computer in QEMU that is most like the machine of some facts.

    `facts` are those of the machine whose kernel loads: as given, but for what QEMU cannot be. On `host`, which lacks
    the RAM that the computer does not have, an image finds its place. `differs` says what is not as in the facts given.
    """

    computer: Computer
    facts: Facts
    host: Facts
    differs: tuple[str, ...]

    def with_firmware(self, told: FirmwareTold) -> Board:
        """The same when its firmware is done, and has kept some RAM."""
        facts, host = self.facts, self.host
        for each in merge(told.kept):
            facts, host = facts.reserve(each), host.reserve(each)
        lost = sum(each.size for each in self.facts.system_ram) - sum(each.size for each in facts.system_ram)
        differs = (*self.differs, f"{lost >> 10} KiB of RAM are the firmware's") if lost else self.differs
        return Board(self.computer, replace(facts, rsdp=told.rsdp), replace(host, rsdp=told.rsdp), differs)


@dataclass(frozen=True, slots=True)
class Probe:
    """A guest that shows whether an accelerator works: it says `magic` on the serial port and ends QEMU."""

    kernel: bytes
    options: tuple[str, ...]
    magic: bytes
    status: int  # QEMU's exit status then


class MachineArch(Protocol):
    """One architecture's machines."""

    @property
    def qemu(self) -> str:
        """The name of QEMU's program."""
        ...

    @property
    def qemu_package(self) -> str:
        """Debian's package of it."""
        ...

    @property
    def emulation(self) -> Emulation:
        """How Unicorn becomes a processor."""
        ...

    def cpu_model(self, accel: Accel) -> str:
        """The most capable processor that `accel` can show, as QEMU's -cpu takes it."""
        ...

    def efi_firmware(self) -> Path:
        """EFI firmware for QEMU's -bios. Raises MissingToolError, InputError."""
        ...

    def probe(self) -> Probe:
        """The guest that shows whether an accelerator works."""
        ...

    def board(self, facts: Facts, cpus: int | None, most: int) -> Board:
        """The computer that is most like the facts, with at most `most` bytes of RAM.

        It has `cpus` processors, by default so many that a second one is seen to start, and one on each NUMA node.

        Raises RefusedError where QEMU cannot be anything like it.
        """
        ...

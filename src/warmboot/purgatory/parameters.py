"""A purgatory's parameters: what it checks, how it enters the new kernel, and where it prints."""

from __future__ import annotations

from warmboot.records import dataclass

__all__ = ["DIGESTS", "DIGEST_SIZE", "TEMPLATE_SIZE", "Backup", "Console", "Entry", "Marks", "Region"]

DIGEST_SIZE = {"xxh64": 8, "sha256": 32}  # bytes, of each digest that a purgatory can check
TEMPLATE_SIZE = 0x400  # bytes, of what a black box says of the load (record.py)
DIGESTS = (*DIGEST_SIZE, "none")  # the first is what is right where nobody asks for another


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes at a physical address, a multiple of 64 of them, and their digest.

    That is 8 bytes of XXH64, the most significant first, or 32 of SHA-256.
    """

    start: int
    size: int
    digest: bytes

    @property
    def algorithm(self) -> str:
        """The name of the digest, of DIGEST_SIZE."""
        return "xxh64" if len(self.digest) == DIGEST_SIZE["xxh64"] else "sha256"


@dataclass(frozen=True, slots=True)
class Console:
    """Where the purgatory says what it does; that an image is damaged comes over the serial port in any case.

    `serial_port` is the first I/O port of a 16550. A `serial_baud` of 0 leaves the rate as it is.
    """

    serial: bool = False
    vga: bool = False
    reset_vga: bool = False
    serial_port: int = 0x3F8
    serial_baud: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """How an image is entered: at physical `address`, in 64-bit mode or in 32-bit protected mode without paging.

    General registers that are not named are 0. `argument` is what a 32-bit function finds after its return
    address. `leave_5_level` switches to 4-level page tables first, where there are 5; `enter_5_level` to 5 levels where
    there are 4 and the processor can. At most one of the two is set.
    """

    address: int
    bits: int = 64
    rax: int = 0
    rbx: int = 0
    rsi: int = 0
    rdi: int = 0
    argument: int = 0
    leave_5_level: bool = False
    enter_5_level: bool = False

    @property
    def needs_low_purgatory(self) -> bool:
        """Whether the purgatory must lie below 4 GiB: it runs in 32-bit mode for a while."""
        return self.bits == 32 or self.leave_5_level or self.enter_5_level


@dataclass(frozen=True, slots=True)
class Backup:
    """Physical bytes that a crash kernel is going to use, and where their contents are kept."""

    start: int
    size: int
    copy: int


@dataclass(frozen=True, slots=True)
class Marks:
    """Where a purgatory marks how far it is; addresses are physical, 0 is nowhere.

    `box` is a page that holds the packed `template` then (see `record`); `stamps` are 16 quads, to which the time stamp
    counter of each stage, by its number, is written just before the entry. `reset` resets the machine, so that its
    firmware boots it, where the purgatory would stop: at a piece that differs, or an exception, which is seen with a
    box alone. With `cmos` the stages of a box are marked in CMOS memory too.
    """

    box: int = 0
    template: bytes = b""
    stamps: int = 0
    reset: bool = False
    cmos: bool = False

"""What is to be placed besides the kernel, where, and how it is to be started."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from warmboot.memmap.firmware import Firmware
from warmboot.memmap.ranges import Range
from warmboot.purgatory.parameters import Console
from warmboot.records import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.placement.crash import CrashDump
    from warmboot.purgatory.record import Template
    from warmboot.purgatory.stamps import Stamps

__all__ = ["ELF_STYLES", "RNG_SEED_SIZE", "BlackBox", "Module", "PlaceOptions", "random_slot"]

ELF_STYLES = ("linux", "elf", "none")
RNG_SEED_SIZE = 32  # bytes


@dataclass(frozen=True, slots=True)
class Module:
    """A multiboot module: its bytes, unpacked, and its own command line, whose first word is by custom its file."""

    data: memoryview
    command_line: str


@dataclass(frozen=True, slots=True)
class BlackBox:
    """The page, at a physical address, in which the purgatory marks how far it is, and what is known of this load.

    The page is kept out of everything that is placed, and reserved in the memory map that the new kernel gets; an
    address of None is a page of the purgatory's own, where there is room below 4 GiB, which the new kernel may use: for
    who reads it before that. The template's entry, purgatory, segments and kind of image are filled in by placement.
    `reset` resets the machine where the purgatory would stop; `cmos` has the stages in CMOS memory too.
    """

    address: int | None
    template: Template
    reset: bool = False
    cmos: bool = False


def _fresh_seed() -> bytes:
    return os.urandom(RNG_SEED_SIZE)


def random_slot(places: int) -> int:
    """One of so many, each as likely as the others but for one in 2^64."""
    return int.from_bytes(os.urandom(16), "little") % places


@dataclass(frozen=True, slots=True)
class PlaceOptions:
    """What `place` is asked for; physical addresses, sizes in bytes.

    `initrds` are joined in their order; the image's own initrds and command line, where it is a unified one, are added
    as images.unwrap says. Everything goes into RAM from `mem_min` up to and including `mem_max`, and not into `avoid`;
    for a `crash` kernel into its reservation. `rng_seed` is for a Linux's random number generator. `firmware` is what
    the running kernel knows of it, `dtb` a device tree. `digest` (of DIGESTS) is what the image is checked by before it
    is entered; what is said then goes to `console`. `entry_32bit` enters a bzImage in protected mode, `elf_style` (of
    ELF_STYLES) says what an ELF image expects. With `preserve_context` the image may return to the running kernel.
    `slot` chooses one of so many places, 0 being the first, for a kernel that cannot choose itself (KASLR).
    `stamps` are handed on, with the times at which the purgatory runs. With a `blackbox` it marks how far it is.
    `free_pages` tells which pages are free now, as `in_use` asks for them, by which a large initrd finds its place.
    With `hashed` False the digests' places are kept and nothing is read: for the sizes alone.
    `progress` is called with the bytes hashed so far and the total.
    """

    initrds: Sequence[memoryview] = ()
    modules: Sequence[Module] = ()
    command_line: str = ""
    dtb: memoryview | None = None
    firmware: Firmware = field(default_factory=Firmware)
    rng_seed: bytes = field(default_factory=_fresh_seed)
    avoid: Sequence[Range] = ()
    mem_min: int = 0
    mem_max: int = (1 << 64) - 1
    crash: CrashDump | None = None
    digest: str = "xxh64"
    hashed: bool = True
    console: Console = field(default_factory=Console)
    entry_32bit: bool = False
    elf_style: str = "linux"
    preserve_context: bool = False
    slot: Callable[[int], int] = random_slot
    blackbox: BlackBox | None = None
    stamps: Stamps | None = None
    free_pages: Callable[[int, int], Sequence[int]] | None = None
    progress: Callable[[int, int], None] | None = None

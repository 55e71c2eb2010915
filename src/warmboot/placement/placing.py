"""Where an image and what belongs to it go on a machine, whatever the image's format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from warmboot.images.unwrap import unwrapped
from warmboot.memmap.firmware import Firmware
from warmboot.memmap.ranges import Range
from warmboot.placement.arch import of
from warmboot.placement.layout import Layout, Placement
from warmboot.placement.wanted import Module, Wanted
from warmboot.purgatory import Console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.images.image import Image
    from warmboot.placement.crash import CrashDump
    from warmboot.placement.host import Host

__all__ = ["RNG_SEED_SIZE", "linux_command_line", "place"]

RNG_SEED_SIZE = 32


def place(
    image: Image,
    host: Host,
    *,
    initrds: Sequence[memoryview] = (),
    command_line: str = "",
    avoid: Iterable[Range] = (),
    rng_seed: bytes | None = None,
    modules: Sequence[Module] = (),
    firmware: Firmware | None = None,
    mem_min: int = 0,
    mem_max: int = 2**64 - 1,
    digest: bool = True,
    entry_32bit: bool = False,
    elf_style: str = "linux",
    dtb: memoryview | None = None,
    crash: CrashDump | None = None,
    console: Console | None = None,
    preserve_context: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Placement:
    """Place an image, its initrds (joined in order) or its modules, and its command line on a machine.

    Everything goes into RAM from `mem_min` up to and including `mem_max`, and not into `avoid`; for a `crash` kernel
    into its reservation. `rng_seed` is for a Linux's random number generator, fresh by default. `firmware` is what the
    running kernel knows of it, `dtb` a device tree. Without `digest` nothing is checked before the image is entered,
    what is said then goes to `console`. `entry_32bit` enters a bzImage in protected mode, `elf_style` (linux, elf,
    none) says what an ELF image expects. With `preserve_context` the image may return to the running kernel. `progress`
    is told how many of how many bytes are hashed.

    A unified kernel image's own initrds come before the others, its own command line counts where none is given.
    Raises InputError for a command line that the kernel would cut, RefusedError for an image that does not fit.
    """
    kernel, initrds, command_line = unwrapped(image, initrds, lambda own: command_line or own or "")
    wanted = Wanted(
        initrds=initrds,
        command_line=command_line,
        rng_seed=os.urandom(RNG_SEED_SIZE) if rng_seed is None else rng_seed,
        modules=modules,
        firmware=firmware or Firmware(),
        entry_32bit=entry_32bit,
        elf_style=elf_style,
        dtb=dtb,
        console=console or Console(),
        preserve_context=preserve_context,
    )

    def layout(wanted: Wanted) -> Layout:
        limits = {"mem_min": mem_min, "mem_max": mem_max}
        return Layout(host, wanted, avoid=avoid, digest=digest, crash=crash, progress=progress, **limits)

    return of(host.machine).place(kernel, wanted, layout)


def linux_command_line(image: Image, host: Host, command_line: str) -> tuple[str, int] | None:
    """The command line that `place` gives a Linux, and how many bytes it may have; None for another kind of image."""
    kernel, _, command_line = unwrapped(image, (), lambda own: command_line or own or "")
    return of(host.machine).linux_command_line(kernel, command_line)

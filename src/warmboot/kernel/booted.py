"""What a running kernel keeps of its own boot, for the kernel that kexec_file_load starts next."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from warmboot.memmap import Facts
from warmboot.memmap.firmware import Firmware

__all__ = ["Booted"]


@dataclass(slots=True)
class Booted:
    """Linux's variables boot_params, efi, initial_boot_params, and its random numbers.

    `firmware` is empty on legacy firmware of which nothing is known; `dtb` is the device tree of this boot. `random`
    gives so many random bytes; None while the kernel's generator has not been seeded. `told` is the machine whose
    memory map is handed on, None for that of the kernel's own facts.
    """

    firmware: Firmware = field(default_factory=Firmware)
    dtb: bytes = b""
    told: Facts | None = None
    random: Callable[[int], bytes] | None = os.urandom

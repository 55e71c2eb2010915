"""The options of kexec-tools 2.0.32 for x86_64 alone, in its order, and which file types take which option."""

from __future__ import annotations

__all__ = ["ARCHITECTURE", "BY_FILE", "FILE_TYPES", "LOADING_ONLY", "TAKEN_BY"]

ARCHITECTURE = (
    ("reset-vga", False, "reset-vga"),
    ("serial", True, "serial"),
    ("serial-baud", True, "serial-baud"),
    ("console-vga", False, "console-vga"),
    ("console-serial", False, "console-serial"),
    ("elf32-core-headers", False, "elf32-core-headers"),  # not in --help; taken and without effect
    ("elf64-core-headers", False, "elf64-core-headers"),  # the same
    ("pass-memmap-cmdline", False, "pass-memmap-cmdline"),
    ("noefi", False, "noefi"),
    ("reuse-video-type", False, "reuse-video-type"),
)

# Wrong usage where no kernel is to be loaded.
LOADING_ONLY = frozenset({"pass-memmap-cmdline", "noefi", "reuse-video-type"})

_COMMAND_LINE = frozenset({"append", "reuse-cmdline"})
_ELF = _COMMAND_LINE | {"initrd", "args-elf", "args-linux", "args-none"}
_BZIMAGE = _COMMAND_LINE | {"initrd", "real-mode", "dtb"}

# In the order in which a file is probed.
TAKEN_BY: dict[str, frozenset[str]] = {
    "multiboot2-x86": _COMMAND_LINE | {"module"},
    "elf-x86_64": _ELF,
    "multiboot-x86": _COMMAND_LINE | {"module"},
    "elf-x86": _ELF,
    "bzImage64": _BZIMAGE | {"entry-32bit"},  # kexec-tools takes --dtb for bzImage only
    "bzImage": _BZIMAGE,
    "beoboot-x86": frozenset({"real-mode"}),
    "nbi-x86": frozenset(),
    "uki": _BZIMAGE | {"entry-32bit"},
}
FILE_TYPES = tuple(TAKEN_BY)

# What kexec_file_load understands, the second once unwrapped.
BY_FILE = frozenset({"bzImage64", "uki"})

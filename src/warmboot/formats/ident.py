"""What a file says that it is in its first bytes. Cheap: every file that is loaded is asked."""

from __future__ import annotations

from warmboot.formats.reading import has, u16

__all__ = ["EM_386", "EM_486", "EM_X86_64", "MACHINES", "elf_machine", "is_elf", "is_mz"]

EM_386, EM_486, EM_X86_64 = 3, 6, 62  # e_machine, elf(5)
MACHINES = {EM_X86_64: "x86_64"}  # the 64-bit ones, as uname -m names them
_E_MACHINE = 18
_EHDR32_SIZE = 52  # the shortest header of an ELF file
_EI_DATA, _ELFDATA2LSB = 5, 1


def is_elf(data: memoryview) -> bool:
    """Whether the file begins as ELF does."""
    return has(data, 0, b"\x7fELF")


def elf_machine(data: memoryview) -> int:
    """e_machine of a little-endian ELF file; 0 (EM_NONE) for any other file."""
    is_little = is_elf(data) and data.nbytes > _EHDR32_SIZE and data[_EI_DATA] == _ELFDATA2LSB
    return u16(data, _E_MACHINE) if is_little else 0


def is_mz(data: memoryview) -> bool:
    """Whether the file begins as programs for EFI do, with a DOS header."""
    return has(data, 0, b"MZ")

"""ELF: told apart from what can be loaded, in words that say which kind of program it is."""

from __future__ import annotations

import io

__all__ = ["describe_elf", "is_elf"]

_KINDS = {"ET_EXEC": "program", "ET_DYN": "shared object", "ET_REL": "object file", "ET_CORE": "core dump"}


def is_elf(data: memoryview) -> bool:
    """Whether the file begins as ELF does."""
    return bytes(data[:4]) == b"\x7fELF"


def describe_elf(data: memoryview) -> str:
    """What an ELF file is, such as "an ELF program for x64, entered at 0x1000000"; never raises."""
    # An import of a tenth of a second, for a message.
    from elftools.common.exceptions import ELFError  # noqa: PLC0415
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415

    try:
        elf = ELFFile(io.BytesIO(data[:4096]))  # the header is all that is looked at
        kind = _KINDS.get(elf.header["e_type"], "file")
        return f"an ELF {kind} for {elf.get_machine_arch()}, entered at {elf.header['e_entry']:#x}"
    except (ELFError, KeyError, ValueError, TypeError, AttributeError):
        return "a damaged ELF file"

"""ELF boot notes: how a boot loader that knows nothing of an ELF program passes it a command line.

The format is that of kexec-tools and Etherboot: a header, then notes without a name whose descriptors are texts.
"""

from __future__ import annotations

import struct

from warmboot import __version__

__all__ = ["boot_notes", "checksum"]

_SIGNATURE = 0x0E1F_B007
_HEADER = struct.Struct("<IIHH")  # signature, size of all, checksum, number of notes
_NOTE = struct.Struct("<III")  # bytes of the name, bytes of the descriptor, type
_BOOTLOADER_NAME, _BOOTLOADER_VERSION, _COMMAND_LINE = 2, 3, 4


def boot_notes(command_line: bytes) -> bytes:
    """The notes; every text ends with a zero byte."""
    notes = b"".join(
        _NOTE.pack(0, len(text) + 1, kind) + (text + b"\0").ljust(-(-(len(text) + 1) // 4) * 4, b"\0")
        for kind, text in (
            (_BOOTLOADER_NAME, b"warmboot"),
            (_BOOTLOADER_VERSION, __version__.encode()),
            (_COMMAND_LINE, command_line),
        )
    )
    size = _HEADER.size + len(notes)
    blank = _HEADER.pack(_SIGNATURE, size, 0, 3) + notes
    return _HEADER.pack(_SIGNATURE, size, checksum(blank), 3) + notes


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes, with which the sum of all is 0."""
    total: int = sum(struct.unpack(f"<{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

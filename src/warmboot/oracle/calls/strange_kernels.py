"""Files that are kernels, and none that kexec_file_load of x86_64 takes; and some that are no kernels at all."""

from __future__ import annotations

import gzip
import struct

__all__ = ["strange_kernels"]

_SIZE = 4096  # bytes of what is made here
_PE_AT = 0x80


def strange_kernels(kernel: bytes) -> list[bytes]:
    """Made from a bzImage: of other architectures, formats and times. Offsets are those of each format's document."""
    only_32_bit = _patched(kernel, 0x236, struct.pack("<H", 0))  # xloadflags: no 64-bit entry
    efi_32 = _patched(kernel, 0x236, struct.pack("<H", 0b110))
    boot_2_00 = _patched(kernel[:2048], 0x206, struct.pack("<H", 0x0200))
    without_header = _patched(kernel[:2048], 0x202, bytes(4))
    elf = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9) + struct.pack("<HHI", 2, 62, 1)
    xen = b"\x7fELF" + bytes((1, 1, 1)) + bytes(9) + struct.pack("<HHI", 2, 3, 1)
    magic = struct.pack("<3I", 0x1BADB002, 0, 0xE4524FFE)
    image = struct.pack("<IIQQQ", 0x91005A4D, 0x14000000, 0, _SIZE, 0xA)  # of arm64, with an EFI stub
    riscv = struct.pack("<IIQQQIIQQ", 0x5A4D, 0, 0x200000, _SIZE, 0, 2, 0, 0, 0x5643534952)
    return [
        *(only_32_bit, efi_32, boot_2_00, without_header),
        _filled(elf),
        _filled(_filled(xen)[:1024] + magic),
        _filled(image + bytes(24) + b"ARM\x64" + struct.pack("<I", 64)),
        _filled(riscv + b"RSC\x05"),
        _filled(b"MZ\0\0zimg" + struct.pack("<II8x", 0x100, 0xF00) + b"gzip"),
        _filled(_filled(b"MZ")[:0x3C] + struct.pack("<I", _PE_AT) + bytes(_PE_AT - 0x40) + b"PE\0\0\x64\x86"),
        gzip.compress(kernel, 1, mtime=0),
        _filled(b"\xfd7zXZ\0"),
        _filled(b"\x28\xb5\x2f\xfd"),
        _filled(b"\x27\x05\x19\x56"),  # U-Boot's
        b"#!/bin/sh\n".ljust(_SIZE, b"\n"),
    ]


def _patched(kernel: bytes, offset: int, data: bytes) -> bytes:
    return kernel[:offset] + data + kernel[offset + len(data) :]


def _filled(head: bytes) -> bytes:
    return head.ljust(_SIZE, b"\0")

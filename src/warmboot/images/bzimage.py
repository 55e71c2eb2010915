"""bzImage: the Linux/x86 boot protocol's file (Documentation/arch/x86/boot.rst)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag

from warmboot.errors import InputError, RefusedError

__all__ = ["BzImage", "LoadFlags", "XLoadFlags", "parse_bzimage"]

SECTOR = 512
HEADER = 0x1F1  # offset of the setup header
_BOOT_FLAG = 0xAA55
_MAGIC = b"HdrS"
_OLDEST_COMPLETE = 0x020A  # the protocol since which every field that is read here exists, but for xloadflags
_SHORTEST = 0x264  # bytes up to and including init_size, protocol 2.10
_HINT_CUT = "copy or download the file again"

_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\x5d\x00\x00": "lzma",
    b"\xfd7zXZ": "xz",
    b"\x89LZO": "lzo",
    b"\x02\x21\x4c\x18": "lz4",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x7fELF": "none",
}


class LoadFlags(IntFlag):
    """loadflags, protocol 2.00."""

    LOADED_HIGH = 0x01
    KASLR = 0x02
    QUIET = 0x20
    KEEP_SEGMENTS = 0x40
    CAN_USE_HEAP = 0x80


class XLoadFlags(IntFlag):
    """xloadflags, protocol 2.12."""

    KERNEL_64 = 0x01  # has the 64-bit entry
    CAN_BE_LOADED_ABOVE_4G = 0x02  # kernel, command line, initrd and parameters too
    EFI_HANDOVER_32 = 0x04
    EFI_HANDOVER_64 = 0x08
    EFI_KEXEC = 0x10
    FIVE_LEVEL = 0x20
    FIVE_LEVEL_ENABLED = 0x40
    MEM_ENCRYPTION = 0x80


@dataclass(frozen=True, slots=True)
class BzImage:
    """A kernel as its file describes it. Addresses are physical, sizes are bytes."""

    name: str
    setup: memoryview  # the real-mode part, with the setup header
    kernel: memoryview  # the protected-mode part: what is loaded
    version: str
    protocol: int  # 0x020f is 2.15
    xloadflags: XLoadFlags
    relocatable: bool
    kernel_alignment: int
    pref_address: int
    init_size: int  # memory that the kernel needs from its start on
    initrd_addr_max: int  # the highest address of the initrd's last byte, for kernels that want it below 4 GiB
    cmdline_size: int  # the longest command line, without its final zero
    compression: str

    @property
    def protocol_text(self) -> str:
        """The boot protocol as documents write it, such as 2.15."""
        return protocol_text(self.protocol)

    @property
    def above_4g(self) -> bool:
        """Whether the kernel and all that belongs to it may lie above 4 GiB."""
        return XLoadFlags.CAN_BE_LOADED_ABOVE_4G in self.xloadflags


def protocol_text(protocol: int) -> str:
    """A boot protocol's number as documents write it."""
    return f"{protocol >> 8}.{protocol & 0xFF:02d}"


def is_bzimage(data: memoryview) -> bool:
    """Whether the file has the header's magic and the boot sector's."""
    return data.nbytes >= 0x206 and bytes(data[0x202:0x206]) == _MAGIC and data[0x1FE] | data[0x1FF] << 8 == _BOOT_FLAG


def parse_bzimage(data: memoryview, name: str) -> BzImage:
    """Read the setup header of the file `name`.

    Raises InputError where the file is cut short or contradicts itself, RefusedError where it is too old to be read.
    """

    def field(offset: int, form: str) -> int:
        value: int = struct.unpack_from("<" + form, data, offset)[0]
        return value

    if data.nbytes < _SHORTEST:
        raise _cut_short(name, data.nbytes, _SHORTEST)
    protocol = field(0x206, "H")
    if protocol < _OLDEST_COMPLETE:  # other fields lie elsewhere, or are not there
        raise RefusedError(
            f"{name}: boot protocol {protocol_text(protocol)} has no 64-bit entry, which came with 2.12",
            hint="use a kernel of Linux 3.8 or later",
        )
    setup_size = (1 + (field(HEADER, "B") or 4)) * SECTOR
    kernel_size = field(0x1F4, "I") * 16
    if not kernel_size:
        raise InputError(f"{name}: byte 0x1f4: the kernel's size is 0", hint="build or fetch the kernel again")
    if data.nbytes < setup_size + kernel_size:
        raise _cut_short(name, data.nbytes, setup_size + kernel_size)
    if 0x202 + field(0x201, "B") < _SHORTEST:
        raise InputError(f"{name}: byte 0x201: the header ends before its own fields", hint=_HINT_CUT)
    xloadflags = XLoadFlags(field(0x236, "H")) if protocol >= 0x020C else XLoadFlags(0)
    alignment = field(0x230, "I")
    if alignment & (alignment - 1) or not alignment:
        raise InputError(f"{name}: byte 0x230: alignment {alignment:#x} is no power of 2", hint=_HINT_CUT)
    payload = setup_size + field(0x248, "I")
    head = bytes(data[payload : payload + 6])
    return BzImage(
        name=name,
        setup=data[:setup_size],
        kernel=data[setup_size : setup_size + kernel_size],
        version=_version(data, field(0x20E, "H") + SECTOR, setup_size),
        protocol=protocol,
        xloadflags=xloadflags,
        relocatable=bool(field(0x234, "B")),
        kernel_alignment=alignment,
        pref_address=field(0x258, "Q"),
        init_size=max(field(0x260, "I"), kernel_size),
        initrd_addr_max=field(0x22C, "I"),
        cmdline_size=field(0x238, "I"),
        compression=next((kind for magic, kind in _COMPRESSIONS.items() if head.startswith(magic)), "unknown"),
    )


def _version(data: memoryview, offset: int, setup_size: int) -> str:
    if not SECTOR <= offset < setup_size:
        return "unknown"
    text = bytes(data[offset : min(offset + 256, setup_size)]).partition(b"\0")[0]
    return "".join(each if each.isprintable() else "?" for each in text.decode("ascii", "replace")) or "unknown"


def _cut_short(name: str, size: int, needed: int) -> InputError:
    return InputError(f"{name}: cut short: {size} bytes of a bzImage of at least {needed}", hint=_HINT_CUT)

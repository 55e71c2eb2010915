"""bzImage: the Linux/x86 boot protocol's file (Documentation/arch/x86/boot.rst)."""

from __future__ import annotations

import struct
from enum import IntFlag

from warmboot.errors import InputError, RefusedError
from warmboot.formats.reading import u16, u32
from warmboot.images.probe import is_bzimage64
from warmboot.records import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.images.figures import BzImageFigures, LinuxFigures

__all__ = ["BzImage", "LoadFlags", "XLoadFlags", "parse_bzimage"]

SECTOR = 512
HEADER = 0x1F1  # offset of the setup header
_COMPLETE = 0x020A  # the protocol since which every field that is read here exists, but for xloadflags
# Since each protocol, the bytes up to the last field that is read here.
_SHORTEST = [(0x020A, 0x264), (0x0208, 0x250), (0x0206, 0x23C), (0x0205, 0x238), (0x0203, 0x230), (0, 0x224)]
_LOAD_ADDRESS = 0x10_0000  # where a bzImage goes that does not say
_UNPACKED_RATIO = 3  # memory by the size of a kernel that does not say what it needs to unpack itself, as GRUB takes it
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
    file: memoryview  # the whole file, unpacked, with what is appended to it, such as a signature
    kind: str = "bzImage64"  # kexec-tools' name of the format, which tells how it is entered
    wrapping: tuple[str, ...] = ()  # what it was unpacked from, the outermost first

    def figures(self) -> BzImageFigures:
        """For a person or a script."""
        from warmboot.images.figures import BzImageFigures  # noqa: PLC0415

        return BzImageFigures(self.name, self.kind, self.wrapping, "bzImage", *self._linux_figures())

    def linux_figures(self) -> LinuxFigures:
        """What its header says, where the file's name and kind are told otherwise."""
        from warmboot.images.figures import LinuxFigures  # noqa: PLC0415

        return LinuxFigures(*self._linux_figures())

    def _linux_figures(self) -> tuple[str, str, str, int, int, int, int, bool, bool, int]:
        return (
            *(self.version, self.protocol_text, self.compression, self.kernel.nbytes),
            *(self.init_size, self.pref_address, self.kernel_alignment),
            *(self.relocatable, self.above_4g, self.cmdline_size),
        )

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


def parse_bzimage(data: memoryview, name: str, *, kind: str | None = None, wrapping: tuple[str, ...] = ()) -> BzImage:
    """Read the setup header of the file `name`, which has its magic.

    `kind` is kexec-tools' name of the format: "bzImage" is entered in 32-bit mode, "bzImage64" in 64-bit mode, which
    is the default where the kernel has that entry and may lie above 4 GiB. Fields that the kernel's protocol has not
    yet are given the values that it implies. Raises InputError where the file is cut short or contradicts itself,
    RefusedError for a zImage, which only a BIOS can start.
    """

    def field(offset: int, form: str, since: int = 0x0200, default: int = 0) -> int:
        return int(struct.unpack_from("<" + form, data, offset)[0]) if protocol >= since else default

    protocol = u16(data, 0x206)
    shortest = next(end for since, end in _SHORTEST if protocol >= since)
    if data.nbytes < max(shortest, 2 * SECTOR):
        raise _cut_short(name, data.nbytes, max(shortest, 2 * SECTOR))
    if protocol < 0x0200 or not field(0x211, "B") & LoadFlags.LOADED_HIGH:
        raise RefusedError(
            f"{name}: a zImage, boot protocol {protocol_text(protocol)}: it is loaded below 1 MiB and needs a BIOS",
            hint="use a bzImage",
        )
    if protocol >= _COMPLETE and 0x202 + field(0x201, "B") < shortest:
        raise InputError(f"{name}: byte 0x201: the header ends before its own fields", hint=_HINT_CUT)
    setup_size = (1 + (field(HEADER, "B") or 4)) * SECTOR
    kind = kind or ("bzImage64" if is_bzimage64(data) else "bzImage")
    kernel_size = _kernel_size(data, name, protocol, setup_size, kind)
    relocatable = bool(field(0x234, "B", 0x0205))
    alignment = field(0x230, "I", 0x0205)
    if relocatable and alignment.bit_count() != 1:
        raise InputError(f"{name}: byte 0x230: alignment {alignment:#x} is no power of 2", hint=_HINT_CUT)
    payload = setup_size + field(0x248, "I", 0x0208)
    head = bytes(data[payload : payload + 6]) if protocol >= 0x0208 else b""
    return BzImage(
        name=name,
        setup=data[:setup_size],
        kernel=data[setup_size : setup_size + kernel_size],
        version=_version(data, field(0x20E, "H") + SECTOR, setup_size),
        protocol=protocol,
        xloadflags=XLoadFlags(field(0x236, "H", 0x020C)),
        relocatable=relocatable,
        kernel_alignment=alignment if alignment.bit_count() == 1 else 1,
        pref_address=field(0x258, "Q", _COMPLETE, _LOAD_ADDRESS),
        init_size=max(field(0x260, "I", _COMPLETE, _UNPACKED_RATIO * kernel_size), kernel_size),
        initrd_addr_max=field(0x22C, "I", 0x0203, 0x37FF_FFFF),
        cmdline_size=field(0x238, "I", 0x0206, 255),
        compression=next((method for magic, method in _COMPRESSIONS.items() if head.startswith(magic)), "unknown"),
        kind=kind,
        file=data,
        wrapping=wrapping,
    )


def _kernel_size(data: memoryview, name: str, protocol: int, setup_size: int, kind: str) -> int:
    """Bytes of the protected-mode part."""
    rest = data.nbytes - setup_size
    if protocol < 0x0204:  # syssize has 16 bits, too few for a bzImage
        if rest <= 0:
            raise _cut_short(name, data.nbytes, setup_size + 1)
        return rest
    size = u32(data, 0x1F4) * 16
    if not size:
        raise InputError(f"{name}: byte 0x1f4: the kernel's size is 0", hint="build or fetch the kernel again")
    if kind == "bzImage" and 0 < rest < size < rest + 16:
        return rest  # iPXE and Memtest86+ round up, and do not fill up
    if rest < size:
        raise _cut_short(name, data.nbytes, setup_size + size)
    return size


def _version(data: memoryview, offset: int, setup_size: int) -> str:
    if not SECTOR <= offset < setup_size:
        return "unknown"
    text = bytes(data[offset : min(offset + 256, setup_size)]).partition(b"\0")[0]
    return "".join(each if each.isprintable() else "?" for each in text.decode("ascii", "replace")) or "unknown"


def _cut_short(name: str, size: int, needed: int) -> InputError:
    return InputError(f"{name}: cut short: {size} bytes of a bzImage of at least {needed}", hint=_HINT_CUT)

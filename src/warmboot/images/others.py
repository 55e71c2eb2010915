"""What people give by mistake: a refusal that says what it is and what helps."""

from __future__ import annotations

from warmboot.formats.ident import elf_machine, is_elf, is_mz
from warmboot.formats.pe import I386, X86_64, machine
from warmboot.formats.reading import has, u16

__all__ = ["explain"]

_ANOTHER = "give a kernel for x86-64"
_KERNEL = "give a kernel: a vmlinuz or vmlinux"

# Content at an offset, what it is, and what helps.
_OTHERS = [
    (0, b"070701", "a cpio archive", "this is an initrd: pass it with --initrd, and the kernel as KERNEL"),
    (0, b"070702", "a cpio archive", "this is an initrd: pass it with --initrd, and the kernel as KERNEL"),
    (0x38, b"ARM\x64", "wrong architecture: an arm64 Image", _ANOTHER),
    (0x38, b"RSC\x05", "wrong architecture: a riscv Image", _ANOTHER),
    (0x24, b"\x18\x28\x6f\x01", "wrong architecture: an arm zImage", _ANOTHER),
    (0, b"\x27\x05\x19\x56", "a U-Boot uImage", "give the vmlinuz that it was made of"),
    (0, b"\xd0\x0d\xfe\xed", "a device tree or a FIT image", "give the vmlinuz that it was made of"),
    (0, b"BeoB", "a Beoboot image", "give the vmlinuz inside it, and pass the initrd with --initrd"),
    (0, b"\x36\x13\x03\x1b", "a network boot image (NBI)", "give the kernel that it was made of"),
    (0, b"!<arch>", "a Debian package", "give the vmlinuz inside it: dpkg-deb -x PACKAGE FOLDER"),
    (0, b"\xed\xab\xee\xdb", "an RPM package", "give the vmlinuz inside it: rpm2cpio PACKAGE | cpio -id"),
    (0, b"BZh", "a bzip2 file", "unpack it first, with bunzip2"),
    (0, b"\x89LZO", "an lzop file", "unpack it first, with lzop -d"),
    (257, b"ustar", "a tar archive", "unpack it, and give the kernel inside it"),
    (0x8001, b"CD001", "the image of a CD", "give the kernel inside it: mount it, or 7z x IMAGE"),
]

# e_machine, elf(5).
_MACHINES = {
    2: "SPARC",
    3: "i386",
    4: "m68k",
    6: "i486",
    8: "MIPS",
    15: "PA-RISC",
    20: "PowerPC",
    21: "PowerPC64",
    22: "S/390",
    40: "Arm",
    42: "SuperH",
    43: "SPARC V9",
    62: "x86-64",
    183: "arm64",
    243: "RISC-V",
    247: "BPF",
    258: "LoongArch",
}
_PE_MACHINES = {I386: "i386", X86_64: "x86-64", 0xAA64: "arm64", 0x1C2: "arm", 0x5032: "riscv32", 0x5064: "riscv64"}


def explain(data: memoryview) -> tuple[str, str]:
    """What `data` is that is no kernel which can be loaded here, and what helps."""
    for offset, magic, what, hint in _OTHERS:
        if has(data, offset, magic):
            return what, hint
    if is_elf(data):
        return _elf(data)
    if is_mz(data):
        kind = machine(data)
        if kind in (I386, X86_64, None):
            return "an EFI program, but no Linux kernel", _KERNEL
        return f"wrong architecture: an EFI program for {_PE_MACHINES.get(kind, f'machine {kind:#x}')}", _ANOTHER
    if data.nbytes < 0x206:
        return f"{data.nbytes} bytes are too few for a kernel", "copy or download the file again"
    return "no kernel: its first bytes are of no format that is known", "give a bzImage, usually /boot/vmlinuz-*"


def _elf(data: memoryview) -> tuple[str, str]:
    if data.nbytes <= 52:
        return "an ELF file, cut short within its header", "copy or download the file again"
    kind = elf_machine(data)
    if data[5] == 2:
        kind = int.from_bytes(data[18:20], "big")
    elif data[5] != 1:
        return "a damaged ELF file", "copy or download the file again"
    what = {1: "object file", 2: "program", 3: "shared object", 4: "core dump"}.get(u16(data, 16), "file")
    if kind not in _MACHINES:
        return f"an ELF {what} for no machine that is known: {kind}", _ANOTHER
    return f"wrong architecture: an ELF {what} for {_MACHINES[kind]}", _ANOTHER

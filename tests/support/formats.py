"""Kernels of every format, built here or taken from Debian, for the tests of `images`."""

from __future__ import annotations

import gzip
import lzma
import struct
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import lz4.block
import lz4.frame
import zstandard

from warmboot.debian import Suite, cache_folder, kernel, unpack
from warmboot.images import BzImage, decompressed, identify
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel

__all__ = [
    "COMPRESSIONS",
    "MULTIBOOT1",
    "MULTIBOOT2",
    "assembled",
    "from_debian",
    "multiboot1",
    "multiboot2",
    "pe",
    "samples",
    "vmlinux",
    "zboot",
    "zboot_program",
]

MULTIBOOT1, MULTIBOOT2 = 0x1BADB002, 0xE85250D6
LZ4_LEGACY = b"\x02\x21\x4c\x18"


def lz4_legacy(data: bytes) -> bytes:
    """What `lz4 -l` writes."""
    blocks = [lz4.block.compress(data[at : at + (8 << 20)], store_size=False) for at in range(0, len(data), 8 << 20)]
    return LZ4_LEGACY + b"".join(struct.pack("<I", len(each)) + each for each in blocks)


def zstd_stream(data: bytes) -> bytes:
    """What `zstd` writes of a pipe: the frame does not say how much it holds."""
    encoder = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    return encoder.compress(data) + encoder.flush()


COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 1),
    "zstd": zstandard.ZstdCompressor().compress,
    "zstd stream": zstd_stream,
    "xz": lambda data: lzma.compress(data, preset=0),
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE, preset=0),
    "lz4": lz4.frame.compress,
    "lz4 legacy": lz4_legacy,
}


@cache
def from_debian(package: str, path: str) -> Path:
    """A file of a package of Debian 12, in the cache."""
    folder = cache_folder() / "formats" / package
    if not (folder / path).is_file():
        [deb] = Suite("bookworm").fetch([package])
        unpack(deb, folder)
    return folder / path


@cache
def vmlinux(series: str) -> memoryview:
    """The ELF kernel inside one of Debian's bzImages, as its build had it."""
    image = identify(kernel(series))
    assert isinstance(image, BzImage)
    offset, size = struct.unpack_from("<II", image.file, 0x248)  # payload_offset, payload_length
    return decompressed(image.kernel[offset : offset + size], f"{image.name}: payload")


def assembled(source: str, *, bits: int, options: Sequence[str] = (), flat: bool = False) -> bytes:
    """An ELF executable (or its flat bytes) of GNU assembler's source, by binutils."""
    with tempfile.TemporaryDirectory() as folder:
        text, unlinked, linked = (Path(folder, each) for each in ("kernel.s", "kernel.o", "kernel"))
        text.write_text(source)
        emulation = "elf_i386" if bits == 32 else "elf_x86_64"
        form = ["--oformat", "binary"] if flat else []
        nmagic = [] if "-pie" in options else ["-n"]
        commands: tuple[list[str | Path], ...] = (
            ["as", f"--{bits}", text, "-o", unlinked],
            ["ld", "-m", emulation, *nmagic, *form, *options, "-o", linked, unlinked],
        )
        for command in commands:
            subprocess.run(command, check=True, capture_output=True)
        return linked.read_bytes()


CODE = """
.globl _start
_start: hlt
        jmp _start
.data
words:  .fill 300, 8, 0x1122334455667788
.bss
        .skip 0x5000
"""


def elf(bits: int) -> bytes:
    """A kernel of two segments, the second with memory that the file does not have."""
    return assembled(f".text{CODE}", bits=bits, options=["-Ttext=0x200000", "-Tdata=0x300000"])


def multiboot1(flags: int, more: str = "", *, bits: int = 32, flat: bool = False) -> bytes:
    """A multiboot 1 kernel; `more` are the header's words behind the checksum."""
    header = f".text\n.align 4\nheader: .long {MULTIBOOT1}, {flags}, {-(MULTIBOOT1 + flags) & 0xFFFFFFFF}\n{more}"
    return assembled(header + CODE, bits=bits, options=["-Ttext=0x200000", "-Tdata=0x201000"], flat=flat)


ADDRESSES = ".long header, 0x200000, 0x201960, 0x207000, _start\n"  # of the kernel above, where it is a flat file


def multiboot2(tags: str, *, bits: int = 32, architecture: int = 0, flat: bool = False) -> bytes:
    """A multiboot 2 kernel with the tags of this assembler source, and the tag that ends them."""
    source = f""".text
.align 8
header: .long {MULTIBOOT2}, {architecture}, header_end - header
        .long -({MULTIBOOT2} + {architecture} + (header_end - header))
{tags}
.align 8
        .word 0, 0
        .long 8
header_end:
"""
    return assembled(source + CODE, bits=bits, options=["-Ttext=0x200000", "-Tdata=0x201000"], flat=flat)


def tag(kind: int, *words: int | str, flags: int = 0) -> str:
    """A tag of a multiboot 2 header."""
    values = "".join(f"        .long {each}\n" for each in words)
    return f".align 8\n        .word {kind}, {flags}\n        .long {8 + 4 * len(words)}\n{values}"


def pe(sections: Sequence[tuple[str, bytes]], *, machine: int = 0x8664) -> bytes:
    """A PE file with these sections and no code."""
    optional = struct.pack("<H", 0x20B).ljust(240, b"\0")
    at = -(-(0x40 + 24 + len(optional) + 40 * len(sections)) // 512) * 512
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40)
    head += struct.pack("<4sHHIIIHH", b"PE\0\0", machine, len(sections), 0, 0, 0, len(optional), 0x22E) + optional
    body = b""
    for number, (name, content) in enumerate(sections):
        raw = -(-len(content) // 512) * 512
        head += struct.pack(
            "<8sIIIIIIHHI",
            *(name.encode(), len(content), 0x1000 * (number + 1), raw, at + len(body), 0, 0, 0, 0, 0x40000040),
        )
        body += content.ljust(raw, b"\0")
    return head.ljust(at, b"\0") + body


def zboot(payload: bytes, method: str) -> bytes:
    """An EFI zboot image around a packed kernel."""
    header = struct.pack("<4s4sII8x32s", b"MZ\0\0", b"zimg", 0x200, len(payload), method.encode())
    return (header.ljust(0x3C, b"\0") + struct.pack("<I", 0x40) + b"PE\0\0").ljust(0x200, b"\0") + payload


@cache
def samples() -> Mapping[str, bytes]:
    """One small kernel of every format, and every packing of one."""
    demo = demo_kernel()
    plain = {
        "bzImage": demo,
        "elf64": elf(64),
        "elf32": elf(32),
        "multiboot 1": multiboot1(7, ".long 0, 0, 0, 0, 0, 0, 1024, 768, 32\n"),
        "multiboot 1 flat": multiboot1(0x10003, ADDRESSES, flat=True),
        "multiboot 2": multiboot2(tag(1, 4, 6) + tag(5, 1024, 768, 32, flags=1) + tag(6) + RELOCATABLE),
        "multiboot 2 flat": multiboot2(
            tag(2, "header", 0x200000, 0, 0x207000) + tag(3, "_start") + tag(7, flags=1), flat=True
        ),
        "uki": pe(
            [(".osrel", b'PRETTY_NAME="A B"\n'), (".cmdline", b"quiet"), (".initrd", b"070701"), (".linux", demo)]
        ),
    }
    packed = {name: pack(demo) for name, pack in COMPRESSIONS.items()}
    return (
        plain
        | packed
        | {"zboot": zboot(packed["zstd"], "zstd22"), "twice": gzip.compress(zboot(packed["xz"], "xzkern"))}
    )


RELOCATABLE = tag(10, 0x100000, 0xFFFFFFFF, 0x200000, 2)


def zboot_program(kernel: bytes) -> bytes:
    """A zboot file that is a whole EFI program: code, the packed kernel behind it, and data."""
    code, payload = bytes(512), gzip.compress(kernel, mtime=0)
    program = bytearray(pe([(".text", code + payload), (".data", b"zboot")]))
    zimg = struct.pack("<4sII8x32s", b"zimg", program.index(payload), len(payload), b"gzip")
    program[4 : 4 + len(zimg)] = zimg
    optional = 0x40 + 24
    struct.pack_into("<II", program, optional + 32, 0x1000, 512)  # SectionAlignment, FileAlignment
    struct.pack_into("<II", program, optional + 56, 1 << 20, 512)  # SizeOfImage, SizeOfHeaders
    struct.pack_into("<I", program, optional + 108, 16)  # NumberOfRvaAndSizes
    return bytes(program)

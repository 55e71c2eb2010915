"""What a multiboot image is told, read as a kernel reads it: by the offsets of the two specifications."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Protocol

from warmboot.uapi import PAGE_SIZE

__all__ = ["TOLD", "Memory", "Told"]


class Memory(Protocol):
    """Physical memory."""

    def read(self, address: int, size: int) -> bytes:
        """The bytes from a physical address on."""
        ...


@dataclass
class Told:
    """What an image is told, whichever version: as it is found in memory."""

    command_line: str
    loader: str
    modules: list[tuple[bytes, str]]
    memory: tuple[int, int]
    mmap: list[tuple[int, int, int]]
    frame_buffer: tuple[int, ...] | None = None
    colours: bytes = b""
    rsdp: dict[int, bytes] | None = None
    efi_systab: int = 0
    load_base: int | None = None
    spare: int = 0  # bytes behind the last tag


def text(memory: Memory, at: int) -> str:
    return memory.read(at, 200).partition(b"\0")[0].decode()


def told1(memory: Memory, at: int) -> Told:
    """By the offsets of the Multiboot Specification 0.6.96."""
    flags, lower, upper, _, line, count, modules = struct.unpack("<7I", memory.read(at, 28))
    assert flags & 0b100_0101 == 0b100_0101  # memory, command line, map
    mmap_length, mmap = struct.unpack("<II", memory.read(at + 44, 8))
    entries = []
    here = mmap
    while here < mmap + mmap_length:
        size, base, length, kind = struct.unpack("<IQQI", memory.read(here, 24))
        entries.append((base, length, kind))
        here += size + 4
    found = Told(
        command_line=text(memory, line),
        loader=text(memory, struct.unpack("<I", memory.read(at + 64, 4))[0]) if flags & 1 << 9 else "",
        modules=[],
        memory=(lower, upper),
        mmap=entries,
    )
    for number in range(count if flags & 8 else 0):
        start, end, string, reserved = struct.unpack("<4I", memory.read(modules + 16 * number, 16))
        assert start % PAGE_SIZE == reserved == 0
        found.modules.append((memory.read(start, end - start), text(memory, string)))
    if flags & 1 << 12:
        found.frame_buffer = struct.unpack("<QIIIBB", memory.read(at + 88, 22))
        found.colours = memory.read(at + 110, 6)
    return found


def told2(memory: Memory, at: int) -> Told:
    """By the tags of the Multiboot2 Specification 2.0."""
    assert at % 8 == 0
    total, reserved = struct.unpack("<II", memory.read(at, 8))
    assert reserved == 0
    found = Told("", "", [], (0, 0), [], rsdp={})
    assert found.rsdp is not None
    here = at + 8
    while True:
        kind, size = struct.unpack("<II", memory.read(here, 8))
        data = memory.read(here + 8, size - 8)
        match kind:
            case 0:
                assert size == 8
                found.spare = at + total - (here + size)
                return found
            case 1:
                found.command_line = data.rstrip(b"\0").decode()
            case 2:
                found.loader = data.rstrip(b"\0").decode()
            case 3:
                start, end = struct.unpack_from("<II", data)
                assert start % PAGE_SIZE == 0
                found.modules.append((memory.read(start, end - start), data[8:-1].decode()))
            case 4:
                found.memory = struct.unpack("<II", data)
            case 6:
                assert struct.unpack_from("<II", data) == (24, 0)
                found.mmap = [(base, length, each) for base, length, each, _ in struct.iter_unpack("<QQII", data[8:])]
            case 8:
                found.frame_buffer = struct.unpack_from("<QIIIBB", data)
                found.colours = data[24:]
            case 12:
                found.efi_systab = struct.unpack("<Q", data)[0]
            case 14 | 15:
                found.rsdp[kind] = data
            case 21:
                found.load_base = struct.unpack("<I", data)[0]
            case _:
                raise AssertionError(f"tag {kind}")
        here += -(-size // 8) * 8


# What is in eax, and how to read what ebx points to, by the specification's version.
TOLD = {1: (0x2BADB002, told1), 2: (0x36D76289, told2)}

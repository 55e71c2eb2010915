"""Random images for kexec_file_load: a header with numbers of its own or a real kernel's, a body, an initrd, a line.

A body is part of the bytes that the guest has, with a halt at its 64-bit entry: what it finds there, a debugger reads.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from warmboot.machines.arch import DEFAULT
from warmboot.oracle.witness.arch import of
from warmboot.oracle.witness.layouts import PATTERN_SIZE, pattern
from warmboot.uapi import PAGE_SIZE, KexecFileFlags, KexecFileRequest, Readable

__all__ = ["FileLayout", "RealKernel", "generate_files", "real_kernels"]

_MIB = 1 << 20
_MAX_ELFCOREHDR_STR_LEN = 30  # characters that Linux keeps for elfcorehdr=
_CMDLINE_SIZES = (2047, 2047, 300, 8191)
_MOST_BODY = 512 << 10
_MOST_INITRD = 64 * _MIB
_HARMLESS_SINCE = {KexecFileFlags.DEBUG: (6, 8), KexecFileFlags.NO_CMA: (6, 17), KexecFileFlags.FORCE_DTB: (6, 18)}


@dataclass(frozen=True)
class RealKernel:
    """A kernel whose header images have: its setup part, the memory that it takes, and how long its line may be.

    Its own body is `body_size` bytes of the guest's from `body_at` on, none where the guest has it not.
    """

    name: str
    header: bytes = field(repr=False)
    init_size: int
    cmdline_size: int
    body_at: int = 0
    body_size: int = 0


@dataclass(frozen=True)
class FileLayout:
    """Image `number` of a seed. Sizes and offsets are in bytes, of `source`, which the guest has as well."""

    seed: int
    number: int
    flags: int
    name: str  # whose header it is
    header: bytes = field(repr=False)
    body_at: int
    body_size: int
    initrd_at: int
    initrd_size: int
    command_line: bytes  # with its final zero, or nothing at all
    source: bytes = field(repr=False)

    @property
    def crash(self) -> bool:
        """Whether it is entered by a panic."""
        return bool(self.flags & KexecFileFlags.ON_CRASH)

    @cached_property
    def body(self) -> bytes:
        """The part that is entered."""
        code, at = of(DEFAULT).file.halt, of(DEFAULT).file.entry
        body = bytearray(self.source[self.body_at : self.body_at + self.body_size])
        body[at : at + len(code)] = code
        return bytes(body)

    @cached_property
    def initrd(self) -> bytes:
        """The initrd; empty for a request without one. One that is larger than the rest of `source` starts again."""
        if self.flags & KexecFileFlags.NO_INITRAMFS:
            return b""
        found = self.source[self.initrd_at : self.initrd_at + self.initrd_size]
        again = -(-(self.initrd_size - len(found)) // len(self.source))
        return (found + self.source * again)[: self.initrd_size]

    def request(self) -> KexecFileRequest:
        """What the system call is given."""
        kernel, initrd = memoryview(self.header + self.body), self.initrd
        return KexecFileRequest(kernel, len(initrd), self.command_line, self.flags, initrd=Readable.of(initrd))

    def agent_line(self) -> str:
        """The same for the guest's agent."""
        words = (self.flags, self.header.hex(), self.body_at, self.body_size, of(DEFAULT).file.halt.hex())
        return f"i {' '.join(map(str, words))} {self.initrd_at} {self.initrd_size} {self.command_line.hex()}"


def real_kernels(files: Sequence[Path], *, whole: bool) -> tuple[bytes, list[RealKernel]]:
    """The bytes that a guest needs for images with the headers of these kernels, or of the `whole` of them."""
    source, found = [pattern()], list[RealKernel]()
    at = PATTERN_SIZE
    for file in files:
        data = file.read_bytes()
        header, init_size, cmdline_size = of(DEFAULT).file.setup_part(data)
        body = data[len(header) :] if whole else b""
        found.append(RealKernel(file.name, header, init_size, cmdline_size, at, len(body)))
        source.append(body)
        at += len(body)
    return b"".join(source), found


def generate_files(
    seed: int,
    number: int,
    *,
    crash: bool,
    room: int,
    release: tuple[int, int] = (0, 0),
    source: bytes = b"",
    kernels: Sequence[RealKernel] = (),
) -> FileLayout:
    """The same for the same arguments; for so much `room`, the reservation's or memory's, and a kernel of a release.

    Two of three have the header of one of the `kernels` that fit, if there are any; `source` as `real_kernels` made it.
    """
    chance = random.Random(f"{seed}/{number}/{crash}")
    source = source or pattern()
    flags = KexecFileFlags.ON_CRASH if crash else KexecFileFlags(0)
    if chance.random() < 0.15:
        flags |= KexecFileFlags.NO_INITRAMFS
    for flag, since in _HARMLESS_SINCE.items():
        if chance.random() < 0.2 and release >= since:
            flags |= flag
    fitting = [each for each in kernels if each.init_size < room // 3]
    whole = [each for each in fitting if each.body_size]
    body = chance.randrange(PAGE_SIZE, min(_MOST_BODY, room // 16))
    body_at = chance.randrange(PATTERN_SIZE - body)
    if fitting and chance.random() < 0.67:
        real = chance.choice(whole or fitting)
        name, header, most = real.name, real.header, real.cmdline_size
        if real.body_size:
            body_at, body = real.body_at, real.body_size
    else:
        name, most = "made", chance.choice(_CMDLINE_SIZES)
        header = of(DEFAULT).file.header(
            body + chance.randrange(min(room // 8, 48 * _MIB)),
            1 << chance.randrange(12, 22),
            chance.choice((0, _MIB, 16 * _MIB, room // 4)),
            most,
        )
    sizes = list(_initrd_sizes(chance, min(_MOST_INITRD, room // 4)))
    return FileLayout(
        seed=seed,
        number=number,
        flags=int(flags),
        name=name,
        header=header,
        body_at=body_at,
        body_size=body,
        initrd_at=chance.randrange(PATTERN_SIZE),
        initrd_size=sizes[number % len(sizes)],
        command_line=_command_line(chance, most - _MAX_ELFCOREHDR_STR_LEN),
        source=source,
    )


def _initrd_sizes(chance: random.Random, most: int) -> Iterator[int]:
    """Small ones, odd ones, and now and then one of the largest, which real kernels need seconds for."""
    for _ in range(3):
        yield from (1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1)
        yield from (chance.randrange(1, _MOST_BODY) for _ in range(2))
        yield chance.randrange(1, min(most, 8 * _MIB))
    yield most


def _command_line(chance: random.Random, most: int) -> bytes:
    """At most so many bytes with the final zero; one in ten is none at all, one in ten is empty, one in five full."""
    kind = chance.randrange(10)
    if kind == 0:
        return b""
    size = {1: 0, 2: most - 1, 3: most - 1}.get(kind, chance.randrange(most))
    return "".join(chance.choice("abc =.,/0123456789") for _ in range(size)).encode() + b"\0"

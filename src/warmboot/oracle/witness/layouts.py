"""Random images for the witness: which segments go where, from a seed, the same for the same machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random

from warmboot.errors import InputError
from warmboot.memmap import Facts, Range, subtract, whole
from warmboot.oracle.witness.arch import of
from warmboot.stubs.regions import region_table
from warmboot.uapi import (
    KEXEC_SEGMENT_MAX,
    PAGE_SIZE,
    KexecFlags,
    LoadRequest,
    Readable,
    Segment,
)

__all__ = ["PATTERN_SIZE", "Piece", "WitnessLayout", "generate", "pattern"]

PATTERN_SIZE = 4 << 20  # bytes
_MIB = 1 << 20
_4G = 1 << 32
_SMALL = (1, 1, 1, 2, 2, 3, 5, 7, 16)  # pages
_MEDIUM = (64, 255, 511, 512, 513, 700, 1024)
_MOST = 16 * _MIB  # bytes in all segments: SHA-256 of more would keep a person waiting
_MOST_LARGE = 48 * _MIB  # of the layouts that cover so much that allocations fall among destinations
_LARGE_EVERY = 7  # layouts


@cache
def pattern() -> bytes:
    """What segments are filled from: no two pages of it are alike."""
    return hashlib.shake_128(b"the witness").digest(PATTERN_SIZE)


@dataclass(frozen=True, slots=True)
class Piece:
    """One segment: `bufsz` bytes from `offset` of the pattern, or of the witness itself where `is_witness`."""

    offset: int
    bufsz: int
    mem: int
    memsz: int
    is_witness: bool = False


@dataclass(frozen=True, slots=True)
class WitnessLayout:
    """An image: number `number` of `seed`; the witness is one of its segments."""

    seed: int
    number: int
    crash: bool
    pieces: tuple[Piece, ...]
    machine: str = "x86_64"

    @property
    def entry(self) -> int:
        """Physical address of the witness."""
        return next(each.mem for each in self.pieces if each.is_witness)

    @property
    def flags(self) -> int:
        """Of kexec_load."""
        return of(self.machine).flag | (KexecFlags.ON_CRASH if self.crash else 0)

    @property
    def regions(self) -> list[tuple[int, int]]:
        """The ranges whose digests are reported, in their order: the witness's code first, then the other segments."""
        others = [(each.mem, each.memsz) for each in self.pieces if not each.is_witness]
        return [(self.entry, of(self.machine).scratch), *others]

    @property
    def table(self) -> bytes:
        """What is written into the witness, at its place for it."""
        return region_table(self.regions)

    def request(self) -> LoadRequest:
        """The same as kexec_load takes it."""
        sources = self._witness(), pattern()
        segments = tuple(
            Segment(
                Readable.of(memoryview(sources[not each.is_witness])[each.offset :][: each.bufsz]),
                each.bufsz,
                each.mem,
                each.memsz,
            )
            for each in self.pieces
        )
        return LoadRequest(self.entry, segments, self.flags)

    def digests(self) -> Iterator[str]:
        """What SHA-256 must give of each of `regions`."""
        yield hashlib.sha256(self._witness().ljust(of(self.machine).scratch, b"\0")).hexdigest()
        for each in self.pieces:
            if not each.is_witness:
                content = pattern()[each.offset : each.offset + each.bufsz]
                digest = hashlib.sha256(content)
                digest.update(bytes(each.memsz - each.bufsz))
                yield digest.hexdigest()

    def agent_line(self) -> str:
        """The layout as the witness agent reads it."""
        segments = [
            f"{'w' if each.is_witness else 'p'}:{each.offset}:{each.bufsz}:{each.mem}:{each.memsz}"
            for each in self.pieces
        ]
        return " ".join(["w", f"{self.entry} {self.flags} {of(self.machine).table} {self.table.hex()}", *segments])

    def _witness(self) -> bytes:
        arch = of(self.machine)
        return arch.code[: arch.table] + self.table + arch.code[arch.table + len(self.table) :]


def generate(facts: Facts, seed: int, number: int, *, crash: bool = False) -> WitnessLayout:
    """WitnessLayout `number` of `seed` for that machine, whose crash reservation takes it if `crash`.

    Raises InputError where there is none.
    """
    if crash and not facts.crash_kernel:
        raise InputError("the guest has no crash reservation", hint="give it more memory")
    random = Random(f"{seed} {number} {crash}")
    places = _Places(facts, random, crash=crash)
    large = not crash and number % _LARGE_EVERY == 0
    left = min((_MOST_LARGE if large else _MOST), facts.totalram_pages * PAGE_SIZE // 8, places.size // 4)
    arch = of(facts.machine)
    pieces = [Piece(0, len(arch.code), places.take(arch.size), arch.size, is_witness=True)]
    count = random.choice((1, 2, 2, 3, 4, 5, 8, 12, KEXEC_SEGMENT_MAX))
    while len(pieces) < count:
        pages = random.choice(_MEDIUM if random.random() < 0.25 else _SMALL)
        if large and len(pieces) < 4:
            pages = left // PAGE_SIZE // 4
        if random.random() < 0.04:
            pages = 0
        memsz = min(pages * PAGE_SIZE, left)
        mem = places.take(memsz)
        left -= memsz
        bufsz = min(_filled(random, memsz), PATTERN_SIZE)
        pieces.append(Piece(random.randrange(PATTERN_SIZE - bufsz + 1), bufsz, mem, memsz))
    random.shuffle(pieces)
    return WitnessLayout(seed, number, crash, tuple(pieces), facts.machine)


def _filled(random: Random, memsz: int) -> int:
    """How many bytes of a segment have contents."""
    most = max(memsz - 1, 0)
    return random.choice(
        (memsz, memsz, most, min(1, memsz), 0, most // 2 | 1 if memsz else 0, random.randint(0, memsz))
    )


class _Places:
    """Where segments may go, each byte once."""

    def __init__(self, facts: Facts, random: Random, *, crash: bool) -> None:
        self._random = random
        ram = facts.crash_kernel[-1:] if crash else subtract(facts.system_ram, facts.crash_kernel)
        self._free = whole(ram, PAGE_SIZE)
        self._last = 0  # the end of what was taken last
        # A layout has a habit: all over memory, in few spots, one behind the other, where Linux allocates from.
        self._habit = random.choice(("anywhere", "anywhere", "near", "adjacent", "low", "top", "high"))
        self._near = self._anywhere(random.choice(self._free))

    @property
    def size(self) -> int:
        """Bytes that are left."""
        return sum(each.size for each in self._free)

    def take(self, size: int) -> int:
        """The physical address of `size` bytes, which nobody else gets. None at all have a page for themselves."""
        size = max(size, PAGE_SIZE)
        room = [each for each in self._free if each.size >= size]
        for _ in range(50):
            mem = self._wanted(room, size)
            taken = Range(mem, mem + size)
            if any(each.contains(taken) for each in room):
                break
        else:
            taken = Range(room[0].start, room[0].start + size)
        self._free = subtract(self._free, [taken])
        self._last = taken.end
        return taken.start

    def _wanted(self, room: list[Range], size: int) -> int:
        random = self._random
        habit = self._habit if random.random() < 0.8 else "anywhere"
        if habit == "adjacent" and self._last:
            return self._last
        if habit == "near":
            return self._near + random.randrange(4 * _MIB // PAGE_SIZE) * PAGE_SIZE
        if habit == "top":
            return room[-1].end - size - random.randrange(64 * _MIB // PAGE_SIZE) * PAGE_SIZE
        if habit == "low":
            room = [each for each in room if each.start < _MIB] or room
        if habit == "high":
            room = [each for each in room if each.start >= _4G] or room
        each = random.choice(room)
        edges = (each.start, each.end - size)
        return random.choice(edges) if random.random() < 0.1 else self._anywhere(each)

    def _anywhere(self, area: Range) -> int:
        return area.start + self._random.randrange(area.size // PAGE_SIZE) * PAGE_SIZE

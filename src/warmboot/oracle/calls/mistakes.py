"""Changes to a legal call of kexec_load that break a rule, or come close to one."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeAlias

from warmboot.kernel import Kernel
from warmboot.memmap import Range
from warmboot.oracle.calls.trace import BUFFER_PLACES, EDGE_LIMIT, TABLE_PLACES, Buffer, KexecLoad, TraceSegment
from warmboot.uapi import PAGE_SIZE, KexecArch

__all__ = ["Mistakes"]

_U64 = 0xFFFF_FFFF_FFFF_FFFF
_4G = 1 << 32

_Change: TypeAlias = Callable[[KexecLoad], KexecLoad]


class Mistakes:
    """A source of changes to calls on `kernel`'s machine; `compat` allows calls of 32-bit programs."""

    def __init__(self, kernel: Kernel, random: Random, *, compat: bool) -> None:
        facts = kernel.facts
        self._kernel = kernel
        self._random = random
        self._compat = compat
        self._limit = kernel.destination_memory_limit + 1
        self._half = facts.totalram_pages // 2
        self._ram = [each for each in facts.system_ram if each.size >= 1 << 20]
        self._changes: list[_Change] = [
            *(self._flags, self._architecture, self._count, self._table, self._entry, self._caller, self._abi),
            *(self._misalign, self._resize, self._grow_source, self._overlap, self._far_away, self._source) * 2,
        ]

    def any(self, call: KexecLoad) -> KexecLoad:
        """`call` with one change of any kind."""
        return self._random.choice(self._changes)(call)

    def without_segments(self, call: KexecLoad) -> KexecLoad:
        """`call` with a change of a kind that an unload can have, too."""
        return self._random.choice((self._flags, self._architecture, self._caller))(call)

    def number(self) -> int:
        """A number near an edge: of memory, of a word, of the reservation."""
        random = self._random
        edge = random.choice((0, 1 << 12, 1 << 20, 1 << 31, _4G, self._limit, 1 << 46, 1 << 52, 1 << 63, 1 << 64))
        area = self._kernel.crash.crashk_res or Range(0, 0)
        base = random.choice((edge, edge, area.start, area.end, random.choice(self._ram).end, random.getrandbits(64)))
        return base + random.choice((0, 0, 0, -1, 1, -PAGE_SIZE, PAGE_SIZE, 0x800, -0x800)) & _U64

    def _flags(self, call: KexecLoad) -> KexecLoad:
        bit = self._random.choice((1, 1, 2, 4, 4, 8, 8, 0x10, 0x8000, 1 << self._random.randrange(64), _4G))
        return call._replace(flags=call.flags ^ bit)

    def _architecture(self, call: KexecLoad) -> KexecLoad:
        architecture = self._random.choice([*(int(each) for each in KexecArch), 1 << 16, 0xFFFF << 16, 63 << 16])
        return call._replace(flags=call.flags & ~0xFFFF_0000 | architecture)

    def _count(self, call: KexecLoad) -> KexecLoad:
        random = self._random
        count = random.choice(
            (0, call.nr_segments - 1, call.nr_segments + 1, 15, 16, 17, 18, 1 << 32, (1 << 32) + 1, 1 << 63, _U64)
        )
        if count in (15, 16, 17, 18) and random.random() < 0.7:
            more = [TraceSegment(Buffer(), 0, (1 << 34) + 4096 * number, 4096) for number in range(18)]
            call = call._replace(segments=(*call.segments, *more)[:count])
        return call._replace(nr_segments=count & _U64)

    def _table(self, call: KexecLoad) -> KexecLoad:
        return call._replace(table=self._random.choice(TABLE_PLACES))

    def _entry(self, call: KexecLoad) -> KexecLoad:
        return call._replace(entry=self.number())

    def _caller(self, call: KexecLoad) -> KexecLoad:
        return call._replace(nobody=True) if self._random.random() < 0.3 else call

    def _abi(self, call: KexecLoad) -> KexecLoad:
        return call._replace(abi="i386" if call.abi == "x86_64" and self._compat else "x86_64")

    def _changed(self, call: KexecLoad, change: Callable[[TraceSegment], TraceSegment]) -> KexecLoad:
        """`call` with one of its segments changed."""
        if not call.segments:
            return call
        number = self._random.randrange(len(call.segments))
        segments = list(call.segments)
        segments[number] = change(segments[number])
        return call._replace(segments=tuple(segments))

    def _misalign(self, call: KexecLoad) -> KexecLoad:
        by = self._random.choice((1, 8, 0x200, 0x800, PAGE_SIZE - 1, -1))
        if self._random.random() < 0.5:
            return self._changed(call, lambda each: each._replace(mem=each.mem + by & _U64))
        return self._changed(call, lambda each: each._replace(memsz=each.memsz + by & _U64))

    def _resize(self, call: KexecLoad) -> KexecLoad:
        size = self._random.choice((0, PAGE_SIZE, self.number(), _U64, _U64 + 1 - PAGE_SIZE, 1 << 52, 1 << 46))
        if size <= self._half * PAGE_SIZE:
            size = min(size, 1 << 24)
        return self._changed(call, lambda each: each._replace(memsz=size))

    def _grow_source(self, call: KexecLoad) -> KexecLoad:
        by = self._random.choice((1, 1, PAGE_SIZE, 1 << 32, 1 << 63))
        return self._changed(call, lambda each: each._replace(bufsz=each.memsz + by & _U64))

    def _overlap(self, call: KexecLoad) -> KexecLoad:
        if not call.segments:
            return call
        other = self._random.choice(call.segments)
        by = self._random.choice((0, 0, PAGE_SIZE, -PAGE_SIZE, other.memsz, other.memsz - PAGE_SIZE))
        return self._changed(call, lambda each: each._replace(mem=other.mem + by & _U64))

    def _far_away(self, call: KexecLoad) -> KexecLoad:
        place = self.number()
        if self._random.random() < 0.8:
            place &= ~(PAGE_SIZE - 1)
        return self._changed(call, lambda each: each._replace(mem=place))

    def _source(self, call: KexecLoad) -> KexecLoad:
        """A source that faults at once, in the first, a middle or the last page, or by its last byte."""
        random = self._random
        place = random.choice((*BUFFER_PLACES, "edge", "edge"))
        if place != "edge":
            return self._changed(call, lambda each: each._replace(buf=Buffer(place)))

        def short(each: TraceSegment) -> TraceSegment:
            before = (0, 1, PAGE_SIZE - 1, PAGE_SIZE, each.bufsz // 2, each.bufsz - 1, each.bufsz)
            size = min(max(random.choice(before), 0), EDGE_LIMIT)
            return each._replace(buf=Buffer("edge", size))

        return self._changed(call, short)

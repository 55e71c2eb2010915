"""Telling calls: mostly legal ones that reach deep, and ones that break a rule or several, at every edge."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from random import Random

from warmboot.kernel import Kernel
from warmboot.memmap import Range, subtract
from warmboot.oracle.calls.deliberate import FAR, KEPT_FREE, UNLOAD, UNLOAD_CRASH, Schedule, deliberate
from warmboot.oracle.calls.mistakes import Mistakes
from warmboot.oracle.calls.trace import (
    EDGE_LIMIT,
    MAPPED_LIMIT,
    TABLE_PLACES,
    Buffer,
    CrashSize,
    KexecLoad,
    Operation,
    Sysctl,
    TraceSegment,
)
from warmboot.uapi import KEXEC_SEGMENT_MAX, PAGE_SIZE, KexecArch, KexecFlags

__all__ = ["Generator"]

_U32, _U64 = 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF
_4G = 1 << 32
_X86_64 = int(KexecArch.X86_64)
_SMALL = (1, 1, 1, 2, 2, 3, 4, 7, 16)  # pages of a segment
_MEDIUM = (64, 511, 512, 513, 1024, 4096)


class Generator:
    """A source of operations for `kernel`'s machine, the same for the same seed.

    Who takes them plays them on `kernel` as they come: where the reservation is and how large half of memory is
    depends on that.
    """

    def __init__(self, kernel: Kernel, seed: int, *, compat: bool = True, schedule: Schedule | None = None) -> None:
        facts = kernel.facts
        self._kernel = kernel
        self._schedule = schedule or Schedule()
        self._random = Random(seed)
        self._compat = compat
        self._limit = kernel.destination_memory_limit + 1
        self._mistakes = Mistakes(kernel, self._random, compat=compat)
        self._half = facts.totalram_pages // 2
        self._ram = [each for each in facts.system_ram if each.size >= 1 << 20]
        self._holes = subtract([Range(0, self._limit)], facts.system_ram)
        self._spare = facts.totalram_pages * PAGE_SIZE - KEPT_FREE

    def operations(self, count: int) -> Iterator[Operation]:
        """`count` operations; sysctls and shrinking come towards the end, as nothing takes them back."""
        return islice(self._endless(count), count)

    def _endless(self, count: int) -> Iterator[Operation]:
        due = deliberate(self._kernel, count, self._schedule)
        made = 0
        while True:
            progress = made / count
            for each in due.pop(0)[1]() if due and due[0][0] <= progress else self._some(progress):
                yield each
                made += 1

    def _crash_kernel(self) -> Range:
        """Where the reservation is now, as shrinking moves its end."""
        return self._kernel.crash.crashk_res or Range(0, 0)

    def _some(self, progress: float) -> list[Operation]:
        """The next operations; a large image is alone in memory."""
        dice = self._random.random()
        if dice < 0.004:
            return [UNLOAD, self._near_half(), UNLOAD]
        schedule = self._schedule
        if progress > schedule.shrinks and dice < 0.004 + schedule.shrinking:
            return self._shrinking(progress)
        if progress > schedule.limits and dice > 0.99:
            return [self._sysctl()]
        if dice > 0.90:
            return [self._unload()]
        call = self._crash_image() if self._random.random() < 0.4 else self._normal_image()
        if self._random.random() < 0.45:
            for _ in range(self._random.choice((1, 1, 1, 2, 3))):
                call = self._mistakes.any(call)
        return [call]

    # ---------------------------------------------------------------- legal calls

    def _abi_for(self, call: KexecLoad) -> KexecLoad:
        low = call.entry < _4G and all(each.mem + each.memsz < _4G for each in call.segments)
        if self._compat and low and self._random.random() < 0.4:
            architecture = self._random.choice((_X86_64, _X86_64, int(KexecArch.I386)))
            return call._replace(abi="i386", flags=call.flags & 0xFFFF | architecture)
        return call

    def _normal_image(self) -> KexecLoad:
        random = self._random
        count = random.choice((1, 1, 2, 3, 3, 4, 5, 8, KEXEC_SEGMENT_MAX))
        segments: list[TraceSegment] = []
        for _ in range(count):
            pages = random.choice(_SMALL) if random.random() < 0.97 else random.choice(_MEDIUM)
            if random.random() < 0.03:
                pages = 0
            mem = self._free_place(segments, pages * PAGE_SIZE)
            segments.append(self._filled(mem, pages * PAGE_SIZE))
        entry = random.choice((segments[0].mem, 0, 0x100000, segments[-1].mem + 0x200, _U64))
        flags = random.choice((_X86_64, _X86_64, _X86_64, 0))
        return self._abi_for(KexecLoad("x86_64", entry, flags, count, tuple(segments)))

    def _crash_image(self) -> KexecLoad:
        """Inside the reservation; sometimes so full that control pages find no room."""
        random = self._random
        area = self._crash_kernel()
        if area.size < 2 * PAGE_SIZE:
            return self._normal_image()._replace(abi="x86_64", flags=_X86_64 | KexecFlags.ON_CRASH)
        count = random.choice((1, 1, 2, 3, 4, 6, KEXEC_SEGMENT_MAX))
        total = area.size // PAGE_SIZE
        # How many pages are left free of segments: few is where the errors are.
        left = random.choice((total // 2, *range(14), 64)) if total < 1 << 16 else total // 2
        segments: list[TraceSegment] = []
        if random.random() < 0.3 and left < total:
            cut = random.randrange(total - left + 1)
            edges = [(area.start, cut), (area.end - (total - left - cut) * PAGE_SIZE, total - left - cut)]
            segments = [self._filled(mem, pages * PAGE_SIZE) for mem, pages in edges if pages]
        else:
            for _ in range(count):
                pages = min(random.choice(_SMALL), total)
                choices = (area.start, area.end - pages * PAGE_SIZE, self._page_in(area))
                mem = min(random.choice(choices), area.end - pages * PAGE_SIZE)
                if not any(mem < each.mem + each.memsz and each.mem < mem + pages * PAGE_SIZE for each in segments):
                    segments.append(self._filled(mem, pages * PAGE_SIZE))
        entry = random.choice((area.start, area.end - 1, self._page_in(area), self._page_in(area) + 0x123))
        flags = _X86_64 | KexecFlags.ON_CRASH
        return self._abi_for(KexecLoad("x86_64", entry, flags, len(segments), tuple(segments)))

    def _filled(self, mem: int, memsz: int) -> TraceSegment:
        """A legal source for that place."""
        random = self._random
        most = min(memsz, MAPPED_LIMIT)
        bufsz = random.choice((most, most, max(0, most - 1), min(most, 1), min(most, PAGE_SIZE + 1), 0, most // 2))
        if memsz > 1 << 24:
            bufsz = min(bufsz, PAGE_SIZE + 7)
        if bufsz == 0 and random.random() < 0.5:
            return TraceSegment(Buffer(random.choice(("null", "unmapped", "kernel"))), 0, mem, memsz)
        if bufsz <= EDGE_LIMIT and random.random() < 0.2:
            return TraceSegment(Buffer("edge", bufsz), bufsz, mem, memsz)
        return TraceSegment(Buffer(), bufsz, mem, memsz)

    def _free_place(self, segments: list[TraceSegment], size: int) -> int:
        random = self._random
        for _ in range(20):
            mem = self._place()
            behind = segments[-1].mem + segments[-1].memsz if segments else mem
            mem = min(random.choice((mem, mem, behind)), self._limit - size - PAGE_SIZE)
            if not any(mem < each.mem + each.memsz and each.mem < mem + size for each in segments):
                return mem
        return self._limit // 2 + random.randrange(1 << 20) * PAGE_SIZE * 8192

    def _place(self) -> int:
        """A page's address: mostly in RAM, at its edges, in holes, just below the limit."""
        random = self._random
        dice = random.random()
        if dice < 0.6:
            return self._page_in(random.choice(self._ram))
        if dice < 0.75:
            each = random.choice(self._ram)
            return random.choice((each.start, each.end - PAGE_SIZE, each.end)) // PAGE_SIZE * PAGE_SIZE
        if dice < 0.85:
            return self._page_in(random.choice(self._holes))
        return random.choice((0, PAGE_SIZE, 0x100000, _4G, _4G - PAGE_SIZE, self._limit - 2 * PAGE_SIZE, 1 << 40))

    def _page_in(self, area: Range) -> int:
        return (
            -(-area.start // PAGE_SIZE) * PAGE_SIZE + self._random.randrange(max(1, area.size // PAGE_SIZE)) * PAGE_SIZE
        )

    def _near_half(self) -> KexecLoad:
        """As many pages as are allowed, and one more or less; in one segment or several."""
        random = self._random
        most = self._spare // PAGE_SIZE if self._spare > 0 else 0
        pages = self._half + random.choice((-1, 0, 0, 1, 2, self._half))
        if pages <= self._half and (pages > most or pages > 1 << 18):
            pages = self._half + 1
        parts = random.choice((1, 2, 3))
        segments = []
        mem = FAR
        for number in range(parts):
            size = pages // parts + (pages % parts if number == 0 else 0)
            segments.append(TraceSegment(Buffer(), 1, mem, size * PAGE_SIZE))
            mem += size * PAGE_SIZE
        return KexecLoad("x86_64", 0x100000, _X86_64, parts, tuple(segments))

    def _unload(self) -> KexecLoad:
        random = self._random
        call = random.choice((UNLOAD, UNLOAD_CRASH))
        if random.random() < 0.4:
            call = call._replace(
                entry=self._mistakes.number(), table=random.choice(TABLE_PLACES), segments=self._normal_image().segments
            )
        if random.random() < 0.3:
            call = self._mistakes.without_segments(call)
        return call._replace(abi="i386") if self._compat and random.random() < 0.4 else call

    # ---------------------------------------------------------------- what changes the kernel for good

    def _shrinking(self, progress: float) -> list[Operation]:
        random = self._random
        size = self._kernel.crash.size
        less = (size - PAGE_SIZE, size - 1, size * 49 // 50, size * 49 // 50 & ~0xFFF, size - 3 * PAGE_SIZE)
        wanted = random.choice((size, size + 1, *less))
        if random.random() < 0.1:
            wanted = random.choice((size * 2, _U64 - PAGE_SIZE, 1 << 63, size // 2, size // 2 & ~0xFFF))
        if progress > 0.9 and random.random() < 0.1:
            wanted = random.choice((0, _U64, PAGE_SIZE))  # rounded up, the second is 0 too: no reservation is left
        text = random.choice((f"{wanted}", f"{wanted}\n", f"{wanted:#x}", f"{max(wanted, 0):#o}".replace("o", "")))
        if random.random() < 0.05:
            texts = ("-1", "abc", f" {wanted}", f"{wanted} ", "1 2", "0x", f"+{wanted}\n", "9" * 23, "")
            text = random.choice(texts)
        shrink = CrashSize(text)
        return [shrink] if random.random() < 0.2 else [UNLOAD_CRASH, shrink]

    def _sysctl(self) -> Sysctl:
        random = self._random
        if random.random() < 0.2:
            return Sysctl("kernel.kexec_load_disabled", random.choice(("0", "2", "-1", "a", "")))
        name = random.choice(("kernel.kexec_load_limit_reboot", "kernel.kexec_load_limit_panic"))
        if random.random() < 0.2:
            name = "kernel.kexec_load_limit"
        values = ("100000", "10000", "-1", "x", " 20000", "0x3000", "40000 5", "2147483648", "2147483647")
        return Sysctl(name, random.choice(values))

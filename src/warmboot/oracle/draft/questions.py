"""Calls that tell profiles apart: for each rule those on which kernels answer differently that differ in it alone.

Where a rule shows in nothing but a place or a number of pages, a series asks for it: images that leave one page more
each time, up to where one fits. So the answer is an errno, and no kernel needs to say where it has put anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from warmboot.kernel import Kernel, choose
from warmboot.kernel.unkept import UnkeptMemory
from warmboot.machines.arch import DEFAULT
from warmboot.memmap import Facts
from warmboot.oracle.calls.deliberate import UNLOAD
from warmboot.oracle.calls.file_trace import Argument, FileSource, KexecFileLoad
from warmboot.oracle.calls.generate_files import patched
from warmboot.oracle.calls.trace import Answer, Buffer, CrashSize, KexecLoad, Operation, Sysctl, TraceSegment
from warmboot.oracle.witness.arch import of
from warmboot.uapi import (
    KEXEC_SEGMENT_MAX,
    PAGE_SIZE,
    KexecArch,
    KexecFileFlags,
    KexecFileRequest,
    KexecFlags,
)

__all__ = ["MACHINES", "MAIN", "Question", "Spot", "bare_kernel", "questions"]

_X86_64 = int(KexecArch.X86_64)
_CRASH = _X86_64 | int(KexecFlags.ON_CRASH)
_CLOSED = FileSource("closed")
_MIB = 1 << 20
_4G = 1 << 32
_QUIET = "loglevel=1 no_timer_check"
_ULONG_MAX = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Spot:
    """A machine on which questions are asked: bytes of memory, and what its command line has besides."""

    memory: int
    append: str


# One whose RAM lies in one piece; one whose RAM goes on at 4 GiB with less than lies below; and one of which most is
# reserved, so that no crash image that fills the reservation is ever loaded: it is more than half of what is left.
MAIN = Spot(1 << 30, f"crashkernel=16M {_QUIET}")
_SPLIT = Spot(4 << 30, f"crashkernel=64M,high crashkernel=16M,low {_QUIET}")
_RESERVED = Spot(1 << 30, f"crashkernel=600M {_QUIET}")
MACHINES: Sequence[Spot] = (MAIN, _SPLIT, _RESERVED)


@dataclass(frozen=True, slots=True)
class Question:
    """Operations that decide `rules` together, asked when nothing is loaded.

    In a `series` each operation's answer is its own, whatever came before.
    `measured` makes of the kernel's answers to `operations` a value of the rule that no profile may have.
    """

    rules: tuple[str, ...]
    about: str
    operations: tuple[Operation, ...]
    machine: Spot = MAIN
    series: bool = False
    measured: Callable[[Sequence[Answer]], int] | None = None

    @property
    def compat(self) -> bool:
        """Whether it is asked by the 32-bit entry."""
        return any(isinstance(each, KexecLoad) and each.abi != "x86_64" for each in self.operations)


def bare_kernel() -> bytes:
    """A file that kexec_file_load takes on every machine, of which each question changes what it asks for."""
    return of(DEFAULT).file.header(PAGE_SIZE, PAGE_SIZE, 0, 1 << 16) + bytes(PAGE_SIZE)


def questions(facts: Facts, spot: Spot, kernel: FileSource) -> Iterator[Question]:
    """The questions that are asked on that machine, in their order; `kernel` is the bare one."""
    if spot == MAIN:
        yield from _flags()
        yield from _tables(facts)
        yield from _files(facts, kernel)
        yield from _room(facts, kernel)
        yield from _control_pages(facts)
        yield from _sizes(facts)
    elif spot == _SPLIT:
        yield from _split(facts, kernel)
    elif facts.crash_kernel:
        yield from _reserved(facts, kernel)


def _flags() -> Iterator[Question]:
    bits = [KexecLoad("x86_64", 0, _X86_64 | 1 << bit, 0, ()) for bit in range(16)]
    known = int(KexecFlags.ON_CRASH | KexecFlags.PRESERVE_CONTEXT)

    def flags(answers: Sequence[Answer]) -> int:
        return sum(1 << bit for bit in range(16) if answers[bit].ret == 0) & ~known

    yield Question(("new_flags",), "unloading with each flag", tuple(bits), measured=flags)
    unload = int(KexecFileFlags.UNLOAD)
    file_bits = [KexecFileLoad(_CLOSED, _CLOSED, Argument(), 0, unload | 1 << bit) for bit in range(32)]
    old = int(KexecFileFlags.UNLOAD | KexecFileFlags.ON_CRASH | KexecFileFlags.NO_INITRAMFS)

    def file_flags(answers: Sequence[Answer]) -> int:
        return sum(1 << bit for bit in range(32) if answers[bit].ret == 0) & ~old

    about = "unloading by kexec_file_load with each flag"
    yield Question(("new_file_flags",), about, tuple(file_bits), measured=file_flags)
    limits = [Sysctl(f"kernel.kexec_load_limit_{kind}", "-1") for kind in ("reboot", "panic")]
    yield Question(("load_limits",), "a limit of -1, which no kernel takes", tuple(limits))


def _tables(facts: Facts) -> Iterator[Question]:
    area = facts.crash_kernel[-1] if facts.crash_kernel else None
    if area is not None:
        loaded = KexecLoad("x86_64", area.start, _CRASH, 1, (TraceSegment(Buffer(), 1, area.start, PAGE_SIZE),))
        yield Question(
            ("copies_table_first",),
            "a segment table that cannot be read, with a crash image loaded, and with an entry outside the reservation",
            (loaded, loaded._replace(table="unmapped"), loaded, loaded._replace(table="unmapped", entry=0)),
        )
    small = TraceSegment(Buffer(), 1, 16 * _MIB, PAGE_SIZE)
    edges = [KexecLoad("i386", 0, _X86_64, count, (small,) * count, "edge") for count in (1, 3)]
    yield Question(
        ("compat_table_fault_is_no_errno",), "a 32-bit caller's table whose last bytes cannot be read", tuple(edges)
    )
    nowhere = TraceSegment(Buffer(), 0, 0, 0)
    yield Question(
        ("destination_end_inclusive",),
        "a segment of no bytes at address 0",
        (KexecLoad("x86_64", 0, _X86_64, 2, (nowhere, small)), UNLOAD),
    )


def _file_load(kernel: FileSource, *, crash: bool = False, line: bytes = b"\0") -> KexecFileLoad:
    flags = KexecFileFlags.NO_INITRAMFS | (KexecFileFlags.ON_CRASH if crash else 0)
    return KexecFileLoad(kernel, _CLOSED, Argument("mapped", line), len(line), int(flags))


def _files(facts: Facts, kernel: FileSource) -> Iterator[Question]:
    most = 1 << 31
    sizes = (most - PAGE_SIZE, most - 1, most, 2 * most, 2 * most + 1)
    yield Question(
        ("kexec_file_size_max",),
        "kernel files of up to 4 GiB",
        tuple(_file_load(FileSource("sparse", size=each)) for each in sizes),
    )
    beyond = 1 << 40
    assert beyond > facts.system_ram[-1].end
    yield Question(
        ("kernel_from_pref_address",),
        "a kernel that prefers an address behind all memory",
        (_file_load(patched(kernel, pref_address=beyond)),),
    )


def _leaving(kernel: FileSource, room: int, pages: int) -> FileSource:
    """A kernel that takes all of `room` bytes but for some pages, wherever they are."""
    return patched(kernel, kernel_alignment=PAGE_SIZE, pref_address=0, init_size=max(room - pages * PAGE_SIZE, 1))


def _room(facts: Facts, kernel: FileSource) -> Iterator[Question]:
    """How many pages of RAM the other parts of an image take.

    EADDRNOTAVAIL means that there is no room. Where there is, Linux says EINVAL: the image is more than half of memory.
    """
    ram = facts.system_ram[-1]
    calls = [_file_load(_leaving(kernel, ram.size, pages)) for pages in range(24)]
    yield Question(
        ("walks_ram_in_reverse", "purgatory_size"),
        "kernels that leave a few pages of RAM's last range",
        tuple(calls),
        series=True,
    )


def _reserved(facts: Facts, kernel: FileSource) -> Iterator[Question]:
    """The same of a reservation: there the ELF core headers lie too."""
    size = facts.crash_kernel[-1].size
    for rules, about, line in (
        (("purgatory_size", "elf_headers_grow_to"), "crash kernels that leave some pages of the reservation", b"\0"),
        (("passes_rng_seed",), "the same with a command line that leaves no room for a seed", _long_line(facts)),
    ):
        calls = [_file_load(_leaving(kernel, size, pages), crash=True, line=line) for pages in range(300)]
        yield Question(rules, about, tuple(calls), _RESERVED, series=True)


def _long_line(facts: Facts) -> bytes:
    """A command line behind which a page ends: with a seed of random numbers the parameters take one page more."""
    profiles = [replace(choose(facts).profile, passes_rng_seed=passes) for passes in (False, True)]
    kernels = [Kernel(facts, UnkeptMemory(facts.system_ram), profile=each) for each in profiles]
    for size in range(PAGE_SIZE, 16, -16):
        line = b"a" * (size - 1) + b"\0"
        taken = {_parameters(each, line) for each in kernels}
        if len(taken) > 1:
            return line
    return b"\0"


def _parameters(kernel: Kernel, line: bytes) -> int:
    """Bytes that the boot parameters take with that command line."""
    request = KexecFileRequest(memoryview(bare_kernel()), 0, line, int(KexecFileFlags.NO_INITRAMFS))
    return next(each.memsz for each in kernel.kexec_file_place(request).segment if each.name == "boot parameters")


def _control_pages(facts: Facts) -> Iterator[Question]:
    if not facts.crash_kernel:
        return
    area = facts.crash_kernel[-1]
    # One page in two is free, until the last segment takes the rest: a control code buffer of two pages finds no room.
    page = TraceSegment(Buffer(), 1, area.start + PAGE_SIZE, PAGE_SIZE)
    count = KEXEC_SEGMENT_MAX - 1
    segments = [page._replace(mem=page.mem + 2 * number * PAGE_SIZE) for number in range(count)]
    rest = page.mem + 2 * count * PAGE_SIZE
    segments.append(page._replace(mem=rest, memsz=area.end - rest))
    holes = KexecLoad("x86_64", area.start, _CRASH, len(segments), tuple(segments))
    yield Question(("pgd_in_control_code",), "a crash image that leaves every second page free", (holes,))
    calls = []
    for kept in (0, 1):  # pages behind: where the free ones begin decides whether a buffer of two pages is aligned
        last = page._replace(mem=area.end - PAGE_SIZE)
        for pages in range(16):
            first = page._replace(mem=area.start, memsz=area.size - (pages + kept) * PAGE_SIZE)
            calls.append(KexecLoad("x86_64", area.start, _CRASH, 1 + kept, (first, last)[: 1 + kept]))
    yield Question(
        ("gbpages_only_when_full",),
        "crash images that leave a few pages of the reservation for control pages",
        tuple(calls),
        series=True,
    )


def _sizes(facts: Facts) -> Iterator[Question]:
    """The last ones: nothing gives back what was given up."""
    if not facts.crash_kernel:
        return
    at_zero = KexecLoad("x86_64", 0, _CRASH, 1, (TraceSegment(Buffer(), 1, 0, PAGE_SIZE),))
    yield Question(
        ("rounds_crash_size_first", "shrinks_low_reservation"),
        "the crash reservation shrunk: to a size in the last page of the address space, to nothing",
        (CrashSize(str(_ULONG_MAX)), CrashSize("0"), CrashSize("4096"), at_zero),
    )


def _split(facts: Facts, kernel: FileSource) -> Iterator[Question]:
    """RAM below 4 GiB takes what RAM behind does not: there a kernel lies alone, wherever the rest is."""
    low = max((each for each in facts.system_ram if each.end <= _4G), key=lambda each: each.size)
    calls = [_file_load(_leaving(kernel, low.size, pages)) for pages in range(4)]
    if low.size > facts.system_ram[-1].size:
        yield Question(
            ("holes_reach_the_end",), "kernels as large as RAM below 4 GiB, and a page less", tuple(calls), _SPLIT
        )
    yield Question(
        ("shrinks_low_reservation",),
        "the size of a crash reservation with a low part",
        (CrashSize(str(sum(each.size for each in facts.crash_kernel))),),
        _SPLIT,
    )

"""How cost grows: what comes from outside, once, ten times and a hundred times as much of it.

    python bench/growth.py [CASE ...] [--runs N]

Each line is a kind of input with what is done to it: processor time at three sizes, how many times as much ten times
the input takes, and the exponent of that: 1.0 is linear, 2.0 quadratic. The last column is what grows.
"""

from __future__ import annotations

import argparse
import gzip
import math
import os
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from support.figures import Figures, figures_option
from warmboot.dump.elfcorehdr import elfcorehdr
from warmboot.dump.facts import DumpFacts, KernelText
from warmboot.formats.elf import EHDR_SIZE, ET_EXEC, PHDR_SIZE, PT_LOAD, ProgramHeader, pack_headers
from warmboot.images import decompressed, identify, identify_bytes
from warmboot.images.figures import image_figures
from warmboot.kernel.permit import permit
from warmboot.machines.machine import Machine
from warmboot.memmap import E820Entry, E820Type, Facts, Range, e820_of_iomem, parse_iomem, subtract
from warmboot.memmap.range_set import RangeSet
from warmboot.placement import Placement, PlaceOptions, place
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.report.text.image import image_lines

__all__ = ["CASES", "Case"]

_MIB = 1 << 20
_START = 0x200_0000
_FACTS = Facts.of_pc(1 << 30)


@dataclass(frozen=True)
class Case:
    """What is done, to an input of which `make` makes so many of `unit`; `least` is the smallest size."""

    name: str
    unit: str
    least: int
    make: Callable[[int], object]
    work: Callable[..., object]


def _elf(count: int) -> memoryview:
    """A program of so many segments of two pages, each of which overlaps the next by one."""
    size = EHDR_SIZE + PHDR_SIZE * count
    page = 4096
    rows = [
        ProgramHeader(PT_LOAD, 7, 0, at, at, min(size, 2 * page), 2 * page, page)
        for at in range(_START, _START + count * page, page)
    ]
    return memoryview(pack_headers(ET_EXEC, rows, entry=_START))


def _pe(sections: Sequence[tuple[str, bytes]]) -> bytes:
    """A PE file with these sections and no code."""
    optional = struct.pack("<H", 0x20B).ljust(240, b"\0")
    at = 0x40 + 24 + len(optional) + 40 * len(sections)
    head = [b"MZ".ljust(0x3C, b"\0"), struct.pack("<I", 0x40)]
    head.append(struct.pack("<4sHHIIIHH", b"PE\0\0", 0x8664, len(sections), 0, 0, 0, len(optional), 0x22E) + optional)
    for number, (name, content) in enumerate(sections):
        where = (len(content), 0x1000 * (number + 1), len(content), at)
        head.append(struct.pack("<8sIIII16x", name.encode(), *where))
        at += len(content)
    return b"".join(head) + b"".join(content for _, content in sections)


def _uki(count: int) -> memoryview:
    """A unified kernel image of so many profiles."""
    profiles = [(".profile", f"ID=number{number}\n".encode()) for number in range(count)]
    return memoryview(_pe([(".linux", demo_kernel()), (".cmdline", b"quiet"), *profiles]))


@contextmanager
def _addons(count: int) -> Iterator[Path]:
    """A unified kernel image with so many add-ons."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernel.efi")
        path.write_bytes(_uki(0))
        extra = Path(folder, "kernel.efi.extra.d")
        extra.mkdir()
        for number in range(count):
            (extra / f"{number:06}.addon.efi").write_bytes(_pe([(".cmdline", b"word=%d" % number)]))
        yield path


def _packed(mib: int) -> memoryview:
    """A packed ELF kernel with so many MiB of symbols, that are no zeros."""
    return memoryview(gzip.compress(_elf(1), 1) + gzip.compress(os.urandom(1 << 10) * 1024, 1) * mib)


def _archives(count: int) -> memoryview:
    """A module of so many packed archives."""
    return memoryview(gzip.compress(b"070701" * 500, 1) * count)


def _iomem(lines: int) -> str:
    """RAM in pieces of 16 MiB with a reserved page at the end of each."""
    size, page = 16 * _MIB, 4096
    return "".join(
        f"{at:08x}-{at + size - page - 1:08x} : System RAM\n{at + size - page:08x}-{at + size - 1:08x} : Reserved\n"
        for at in range(size, size * (lines // 2 + 1), size)
    )


def _facts(lines: int) -> Facts:
    return replace(_FACTS, iomem=_iomem(lines))


def _ranges(count: int) -> list[Range]:
    return [Range(2 * at * _MIB, (2 * at + 1) * _MIB) for at in range(1, count + 1)]


def _dump(count: int) -> DumpFacts:
    others = tuple(E820Entry(each, E820Type.RESERVED) for each in _ranges(count))
    text = KernelText(0xFFFF_FFFF_8100_0000, _START, 32 * _MIB)
    ram = tuple(_ranges(count))
    return DumpFacts(ram, (Range(1 << 40, 2 << 40),), others, (Range(4096, 8192),), None, text, 0xFFFF_8880_0000_0000)


def _place(facts: Facts) -> Placement:
    image = identify_bytes(memoryview(demo_kernel()), "the demo kernel")
    return place(image, facts, PlaceOptions(initrds=[memoryview(bytes(_MIB))], digest="none"))


def _permit(facts: Facts) -> None:
    request = _place(facts).request
    with Machine(facts) as machine:
        permit(machine.kernel, request)


def _load(mib: int) -> None:
    image = identify_bytes(memoryview(demo_kernel()), "the demo kernel")
    with Machine.of_pc(8 << 30) as machine:
        initrd = memoryview(bytes(mib * _MIB))
        machine.kernel.kexec_load(place(image, machine.facts, PlaceOptions(initrds=[initrd])).request)


def _identify_elf(data: memoryview) -> object:
    return image_lines(image_figures(identify_bytes(data, "elf")))


def _place_elf(data: memoryview) -> object:
    return place(identify_bytes(data, "elf"), _FACTS, PlaceOptions(digest="none"))


def _identify_addons(path: AbstractContextManager[Path]) -> object:
    with path as kernel:
        return identify(kernel)


def _in_range_set(ranges: list[Range]) -> int:
    numbers = RangeSet()
    for each in ranges:
        numbers.add(each.start, each.end)
    for each in ranges:
        numbers.remove(each.start + 1, each.end - 1)
    return sum(each.start in numbers for each in ranges)


CASES = (
    Case("images: an ELF kernel read and described", "program headers", 40, _elf, _identify_elf),
    Case("images: an ELF kernel placed, its segments overlap", "program headers", 40, _elf, _place_elf),
    Case("images: a unified image", "profiles", 600, _uki, lambda data: identify_bytes(data, "uki")),
    Case("images: a unified image", "add-ons", 30, _addons, _identify_addons),
    Case("images: a packed kernel with symbols", "MiB", 4, _packed, lambda data: identify_bytes(data, "elf")),
    Case("images: a module of several archives", "archives", 100, _archives, lambda data: decompressed(data, "m")),
    Case("maps: /proc/iomem parsed", "lines", 200, _iomem, parse_iomem),
    Case("maps: the e820 map of it", "lines", 200, _iomem, lambda text: e820_of_iomem(parse_iomem(text))),
    Case("maps: ranges subtracted", "ranges", 200, _ranges, lambda found: subtract([Range(0, 1 << 50)], found)),
    Case("maps: a set of ranges", "ranges", 200, _ranges, _in_range_set),
    Case("maps: facts from JSON", "lines", 200, lambda n: _facts(n).to_json(), Facts.from_json),
    Case("maps: a bzImage placed", "lines", 200, _facts, _place),
    Case("maps: a bzImage placed and permitted", "lines", 200, _facts, _permit),
    Case("maps: a dump's headers", "ranges", 200, _dump, elfcorehdr),
    Case("segments: an initrd placed, digested and loaded", "MiB", 4, lambda mib: mib, _load),
)


def _seconds(case: Case, size: int, runs: int) -> list[float]:
    """The processor time of so many runs."""
    found = []
    for _ in range(runs):
        given = case.make(size)
        began = time.process_time()
        case.work(given)
        found.append(max(time.process_time() - began, 1e-6))
    return found


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", metavar="CASE", help="words of the cases to run (default: all)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each size, of which the fastest counts")
    parser.add_argument("--twice", action="store_true", help="leave out the largest size")
    figures_option(parser)
    args = parser.parse_args()
    figures = Figures()
    print(f"{'what':52}{'1':>10}{'10':>10}{'100 times':>11}  {'ratios':>12}  exponent  of")
    for case in CASES:
        if args.case and not any(word in case.name for word in args.case):
            continue
        _seconds(case, case.least, 1)  # what a first run does once, such as imports
        least = []
        for times in (1, 10) if args.twice else (1, 10, 100):
            seconds = _seconds(case, case.least * times, args.runs)
            milliseconds = [1000 * each for each in seconds]
            figures.add(case.name, milliseconds, "ms", amount=case.least * times, of=case.unit)
            least.append(min(milliseconds))
        shown = "".join(f"{each:8.1f}ms" for each in least)
        ratios = " ".join(f"{after / before:6.1f}" for before, after in pairwise(least))
        exponent = math.log10(least[-1] / least[-2])
        print(f"{case.name:52}{shown:30} {ratios:>13}  {exponent:8.2f}  {case.unit}, from {case.least:,}", flush=True)
    figures.write(args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the model says of the load that the first kernel made: the same files, on a machine like the guest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from warmboot.handed_figures import PlacedSegment
from warmboot.kernel import Kernel, KexecError
from warmboot.kernel.unkept import UnkeptMemory
from warmboot.memmap import Facts, Range
from warmboot.numbers import number
from warmboot.uapi import PAGE_SIZE, KexecFileRequest

__all__ = ["facts_of_guest", "model_places", "told_places"]

# What Linux 6.8 and later print with KEXEC_FILE_DEBUG.
_SEGMENT = re.compile(r"segment\[(\d{1,2})\]: buf=\S+ bufsz=0x([0-9a-f]+) mem=0x([0-9a-f]+) memsz=0x([0-9a-f]+)")
_MEM_TOTAL = re.compile(r"MemTotal:\s+(\d+) kB")
_DEBUG = "/sys/kernel/debug/kho/out"


def facts_of_guest(files: Mapping[str, str], release: str, cpus: int) -> Facts:
    """The facts, as far as placing an image needs them. Raises InputError where the guest tells nonsense."""
    total = _MEM_TOTAL.search(files.get("/proc/meminfo", ""))
    names = ("scratch_phys", "scratch_len")
    told = {name: " ".join(files.get(f"{_DEBUG}/{name}", "").split()) for name in names}
    return replace(
        Facts.of_pc(1 << 30, release=release, cpus=cpus, cmdline=files.get("/proc/cmdline", "").strip()),
        iomem=files.get("/proc/iomem", ""),
        totalram_pages=max(1, (number(total[1]) or 0) // 4) if total else 1,
        firmware_memmap=files.get("/sys/firmware/memmap") or None,
        handover=told if all(told.values()) else None,
    )


def told_places(messages: Iterable[str]) -> list[Range]:
    """Where the kernel said that it put its segments: of the last call that it spoke of."""
    found: dict[int, Range] = {}
    for text in messages:
        match = _SEGMENT.search(text)
        if match:
            mem, memsz = (number(each, 16) or 0 for each in (match[3], match[4]))
            found[int(match[1])] = Range(mem, mem + memsz)
    return [found[each] for each in sorted(found)]


def model_places(facts: Facts, request: KexecFileRequest, told: list[Range]) -> tuple[tuple[PlacedSegment, ...], str]:
    """Both answers side by side, and the model's refusal where it has one."""
    kernel = Kernel(facts, UnkeptMemory([Range(0, PAGE_SIZE), *facts.system_ram]))
    places, refusal = list[int](), ""
    try:
        places = [each.mem for each in kernel.kexec_file_place(request).segment]
    except KexecError as error:
        refusal = f"{error.errno_name} by {error.rule.name}: {error}"
    model = [*places, *[None] * len(told)]
    return tuple(PlacedSegment(each.start, each.size, at) for each, at in zip(told, model, strict=False)), refusal

"""Where a bzImage and what belongs to it go on an x86_64 machine, by the 64-bit boot protocol.

Purgatory and parameters lie at the top of low memory, the kernel at the address it prefers, the initrd below the
highest address that the kernel allows.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from warmboot.errors import InputError, RefusedError
from warmboot.images import BzImage, XLoadFlags
from warmboot.memmap import Facts, Range
from warmboot.placement.boot_params import BootParams
from warmboot.placement.space import Space
from warmboot.purgatory import BLOCK, purgatory, stub
from warmboot.uapi import PAGE_SIZE, Joined, KexecArch, LoadRequest, Readable, Segment, Source, page_align

__all__ = ["Placement", "place"]

_OLDEST_PROTOCOL = 0x020C
_ENTRY_64 = 0x200  # from the start of the protected-mode part
_LOW = 1 << 20  # below it firmware and the processors' trampolines live
_4G = 1 << 32
_MORE_MEMORY = "give the machine more memory, or the image less"
RNG_SEED_SIZE = 32


@dataclass(frozen=True, slots=True)
class Placement:
    """A request that is ready to be loaded, and the parts that a person wants to see named."""

    request: LoadRequest
    kernel: Segment
    kernel_entry: int  # physical address at which the kernel is entered
    boot_params: int  # physical address of the zero page
    command_line: str
    sha256: bytes  # over every segment but the purgatory, each padded with zeros to whole 64-byte blocks
    digest_size: int  # bytes that the purgatory will hash


def place(
    image: BzImage,
    facts: Facts,
    *,
    initrds: Sequence[memoryview] = (),
    command_line: str = "",
    avoid: Iterable[Range] = (),
    rng_seed: bytes | None = None,
) -> Placement:
    """Place a kernel, its initrds (joined in order) and its command line on the machine of `facts`.

    Nothing is put into `avoid`. `rng_seed` is for the new kernel's random number generator, fresh by default.
    Raises InputError for a command line that the kernel would cut, RefusedError for a kernel that the 64-bit entry
    cannot start or that does not fit.
    """
    _check_startable(image, facts)
    line = _checked_command_line(image, command_line)
    seed = os.urandom(RNG_SEED_SIZE) if rng_seed is None else rng_seed
    space = Space(facts.system_ram, [Range(0, _LOW), *facts.crash_kernel, *avoid])
    limit = max((each.end for each in space.free), default=0) if image.above_4g else _4G

    kernel_at = _place_kernel(image, space, limit)
    initrd: Source = Joined(initrds)
    initrd_at = _place_initrd(image, space, initrd.readable, limit)
    parameters = BootParams(image, line, facts.e820, initrd_at.start, initrd.readable, facts.rsdp, seed)
    parameters_at = _place_small(space, "boot parameters", parameters.size)
    purgatory_at = _place_small(space, "purgatory", len(stub("purgatory")))

    kernel = Segment(Readable(image.kernel), image.kernel.nbytes, kernel_at.start, kernel_at.size, "kernel")
    segments = [kernel, _segment(parameters.pack(parameters_at.start), parameters_at, "boot parameters")]
    if initrd.readable:
        segments.append(Segment(initrd, initrd.readable, initrd_at.start, initrd_at.size, "initrd"))
    segments.sort(key=lambda each: each.mem)
    sha256, regions = _digest(segments)
    code = purgatory(
        kernel_entry=kernel.mem + _ENTRY_64, boot_params=parameters_at.start, sha256=sha256, regions=regions
    )
    segments.append(_segment(code, purgatory_at, "purgatory"))
    segments.sort(key=lambda each: each.mem)
    return Placement(
        request=LoadRequest(purgatory_at.start, tuple(segments), KexecArch.X86_64),
        kernel=kernel,
        kernel_entry=kernel.mem + _ENTRY_64,
        boot_params=parameters_at.start,
        command_line=command_line,
        sha256=sha256,
        digest_size=sum(size for _, size in regions),
    )


def _check_startable(image: BzImage, facts: Facts) -> None:
    if image.protocol < _OLDEST_PROTOCOL:
        raise RefusedError(
            f"{image.name}: boot protocol {image.protocol_text} has no 64-bit entry, which came with 2.12",
            hint="use a kernel of Linux 3.8 or later",
        )
    if XLoadFlags.KERNEL_64 not in image.xloadflags:
        raise RefusedError(f"{image.name}: a 32-bit kernel, without the 64-bit entry", hint="use an x86_64 kernel")
    if facts.la57 and XLoadFlags.FIVE_LEVEL not in image.xloadflags:
        raise RefusedError(
            f"{image.name}: cannot be entered with 5-level page tables, which the running kernel uses",
            hint="boot the running kernel with no5lvl, or use a kernel of Linux 4.14 or later",
        )


def _checked_command_line(image: BzImage, command_line: str) -> bytes:
    line = command_line.encode("utf-8", "surrogateescape")
    if b"\0" in line:
        raise InputError("the command line has a zero byte in it", hint="take it out")
    if len(line) > image.cmdline_size:
        raise InputError(
            f"the command line has {len(line)} bytes, {image.name} takes {image.cmdline_size}",
            hint="make it shorter: the kernel would cut it silently",
        )
    return line


def _place_kernel(image: BzImage, space: Space, limit: int) -> Range:
    size = page_align(image.init_size)
    preferred = Range(image.pref_address, image.pref_address + size)
    if preferred.end <= limit and space.has(preferred) and image.pref_address % PAGE_SIZE == 0:
        return space.take(preferred)
    if not image.relocatable:
        raise RefusedError(
            f"{image.name}: not relocatable, and {preferred} is not free RAM",
            hint="use a kernel with CONFIG_RELOCATABLE, as all distributions build",
        )
    align = max(image.kernel_alignment, PAGE_SIZE)
    # Not below the preferred address: a kernel that finds itself there moves up to it, over whatever lies in between.
    found = space.lowest(size, align=align, least=image.pref_address, below=limit)
    if found is None:
        raise space.no_room("kernel", size, _MORE_MEMORY, least=image.pref_address)
    return space.take(found)


def _place_initrd(image: BzImage, space: Space, size: int, limit: int) -> Range:
    if not size:
        return Range(0, 0)
    taken = page_align(size)
    # A kernel that may lie above 4 GiB reads the whole address; initrd_addr_max is for all others.
    found = space.highest(taken, align=PAGE_SIZE, least=_LOW, below=min(image.initrd_addr_max + 1, _4G))
    if found is None and image.above_4g:
        found = space.highest(taken, align=PAGE_SIZE, least=_LOW, below=limit)
    if found is None:
        raise space.no_room("initrd", taken, _MORE_MEMORY)
    return space.take(found)


def _place_small(space: Space, what: str, size: int) -> Range:
    """The small parts go below 4 GiB, where every kernel reaches them."""
    found = space.highest(page_align(size), align=PAGE_SIZE, least=_LOW, below=_4G)
    if found is None:
        raise space.no_room(what, page_align(size), _MORE_MEMORY)
    return space.take(found)


def _segment(data: bytes, where: Range, name: str) -> Segment:
    return Segment(Readable.of(data), len(data), where.start, where.size, name)


def _digest(segments: Iterable[Segment]) -> tuple[bytes, list[tuple[int, int]]]:
    """SHA-256 over the segments as they lie in memory, and the ranges it covers (physical address, bytes)."""
    digest = hashlib.sha256()
    regions = []
    for segment in segments:
        for piece in segment.buf.pieces(0, segment.bufsz):
            digest.update(piece)
        padding = -segment.bufsz % BLOCK
        digest.update(bytes(padding))
        regions.append((segment.mem, segment.bufsz + padding))
    return digest.digest(), regions

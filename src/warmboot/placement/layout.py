"""Segments while they find their places, and the request that they become."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from warmboot.command_line import parse
from warmboot.memmap.entries import E820Entry
from warmboot.memmap.ranges import Range
from warmboot.placement.arch import of
from warmboot.placement.space import Space
from warmboot.placement.wanted import Wanted
from warmboot.purgatory import Entry, Region, purgatory, purgatory_size
from warmboot.uapi import (
    PAGE_SIZE,
    KexecFlags,
    LoadRequest,
    Readable,
    Segment,
    Source,
    page_align,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.placement.crash import CrashDump, CrashPlan
    from warmboot.placement.host import Host

__all__ = ["FOUR_GIB", "LOW", "MORE_MEMORY", "Layout", "Placement"]

LOW = 1 << 20  # below it firmware and the processors' trampolines live
FOUR_GIB = 1 << 32
_EVERYWHERE = 1 << 64
MORE_MEMORY = "give the machine more memory, or the image less"
_RESERVE_MORE = "reserve more: boot the running kernel with a larger crashkernel=, or use a smaller initrd"


@dataclass(frozen=True, slots=True)
class Placement:
    """A request that is ready to be loaded, and the parts that a person wants to see named."""

    request: LoadRequest
    kernel: Segment  # its first, where it has more than one
    entry: Entry  # how it is entered
    command_line: str
    boot_params: int = 0  # physical address of the zero page, 0 where there is none
    regions: tuple[Region, ...] = ()  # what the purgatory will check

    @property
    def kernel_entry(self) -> int:
        """The physical address at which the kernel is entered."""
        return self.entry.address

    @property
    def has_purgatory(self) -> bool:
        """Whether the kernel is not simply jumped to."""
        return self.request.entry != self.kernel_entry

    @property
    def digest_size(self) -> int:
        """Bytes that the purgatory will hash."""
        return sum(each.size for each in self.regions)


class Layout:
    """The segments of one image. What is free: the machine's RAM within the limits, but for what must be avoided.

    For a crash kernel it is the reservation, of which the dump's own parts are taken at once.
    """

    def __init__(
        self,
        host: Host,
        wanted: Wanted,
        *,
        avoid: Iterable[Range] = (),
        mem_min: int = 0,
        mem_max: int = _EVERYWHERE - 1,
        digest: bool = True,
        crash: CrashDump | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.host = host
        self.wanted = wanted
        # RAM by the memory map may be firmware's all the same: Linux keeps EFI's random seed there, and the next kernel
        # clears it (drivers/firmware/efi/efi.c), whatever was loaded over it.
        efi = wanted.firmware.efi
        avoid = [*avoid, *(each.range for each in efi.memmap)] if efi else avoid
        limits = [Range(0, mem_min), Range(min(mem_max, _EVERYWHERE - 1) + 1, _EVERYWHERE)]
        if crash is None:
            self.space: Space = Space(host.system_ram, [*host.crash_kernel, *avoid, *limits])
        else:
            self.space = Space([crash.load_range], [*avoid, *limits], _RESERVE_MORE)
        self._crash = crash
        self._plan: CrashPlan | None = None
        self._digest = digest
        self._progress = progress
        self._segments: list[Segment] = []

    def plan_crash(self, *, efi: bool) -> str:
        """Take what a dump needs, if one is asked for; the command line then, with what the crash kernel is told.

        `efi` says whether the kernel will hear of ACPI's root pointer from EFI. Raises RefusedError.
        """
        line = self.wanted.command_line
        if self._crash is None:
            return line
        self._plan = of(self.host.machine).plan_crash(self._crash, self.space, acpi_rsdp=0 if efi else self.host.rsdp)
        self._segments += self._plan.segments
        return str(parse(line).with_parameters(self._plan.command_line))

    @property
    def e820(self) -> list[E820Entry]:
        """The memory map that the new kernel is told."""
        return list(self.host.e820 if self._plan is None else self._plan.e820 or self.host.e820)

    def highest(self, what: str, size: int, *, align: int = PAGE_SIZE, below: int = _EVERYWHERE) -> Range:
        """Take the highest free range, whole pages from LOW up. Raises RefusedError."""
        found = self.space.highest(page_align(size), align=align, least=LOW, below=below)
        if found is None:
            raise self.space.no_room(what, page_align(size), MORE_MEMORY)
        return self.space.take(found)

    def small(self, what: str, size: int, *, low: bool) -> Range:
        """Take room for a small part: below 4 GiB, where everybody reaches it, or higher if it need not be `low`."""
        found = self.space.highest(page_align(size), align=PAGE_SIZE, least=LOW, below=FOUR_GIB)
        if found is None and not low:
            return self.highest(what, size)
        return self.highest(what, size, below=FOUR_GIB)

    def add(self, name: str, source: Source, where: Range, bufsz: int | None = None) -> Segment:
        """A segment in a place that has been taken."""
        segment = Segment(source, source.readable if bufsz is None else bufsz, where.start, where.size, name)
        self._segments.append(segment)
        return segment

    @property
    def count(self) -> int:
        """Segments so far."""
        return len(self._segments)

    def enter_directly(self, kernel: Segment, entry: Entry) -> Placement:
        """The request without a purgatory: nothing is checked, nothing is passed on."""
        return Placement(self._request(entry.address), kernel, entry, "")

    def finish(
        self, kernel: Segment, entry: Entry, command_line: str, *, boot_params: int = 0, jump_back_text: int = 0
    ) -> Placement:
        """Hash what is there, add the purgatory, and make the request. Raises RefusedError."""
        regions = self._regions()
        where = self.small("purgatory", purgatory_size(len(regions)), low=entry.needs_low_purgatory)
        code = purgatory(
            entry,
            regions,
            console=self.wanted.console,
            jump_back_text=jump_back_text,
            backup=self._plan.backup if self._plan else None,
        )
        self.add("purgatory", Readable.of(code), where)
        return Placement(self._request(where.start), kernel, entry, command_line, boot_params, tuple(regions))

    def _regions(self) -> list[Region]:
        if not self._digest:
            return []
        from warmboot.placement.digest import digest_regions  # noqa: PLC0415 - it loads OpenSSL

        unstable = self._plan.headers if self._plan and not self._plan.digest_headers else None
        segments = sorted((each for each in self._segments if each is not unstable), key=lambda each: each.mem)
        return digest_regions(segments, self._progress)

    def _request(self, entry: int) -> LoadRequest:
        flags = KexecFlags(0) if self._plan is None else self._plan.flags
        if self.wanted.preserve_context:
            flags |= KexecFlags.PRESERVE_CONTEXT
        segments = tuple(sorted(self._segments, key=lambda each: each.mem))
        return LoadRequest(entry, segments, of(self.host.machine).kexec_arch | flags)

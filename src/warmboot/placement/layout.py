"""Segments while they find their places, and the request that they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from warmboot.memmap.entries import E820Entry, E820Type, with_reserved
from warmboot.memmap.ranges import Range, merge
from warmboot.placement.options import BlackBox, PlaceOptions
from warmboot.placement.space import Space
from warmboot.purgatory.parameters import Entry, Marks, Region
from warmboot.records import dataclass, field, replace
from warmboot.uapi import (
    KEXEC_SEGMENT_MAX,
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
    from warmboot.placement.arch.interface import PlacementArch
    from warmboot.placement.crash import CrashPlan
    from warmboot.placement.host import Host
    from warmboot.placement.reason import Reason

__all__ = ["FOUR_GIB", "LOW", "MORE_MEMORY", "Kaslr", "Layout", "Placement", "told_unpacked"]

LOW = 1 << 20  # below it firmware and the processors' trampolines live
FOUR_GIB = 1 << 32
_EVERYWHERE = 1 << 64
MORE_MEMORY = "give the machine more memory, or the image less"
_RESERVE_MORE = "reserve more: boot the running kernel with a larger crashkernel=, or use a smaller initrd"


@dataclass(frozen=True, slots=True)
class Kaslr:
    """Among how many physical and virtual places one was chosen at random for the kernel; 1: there was no choice."""

    physical: int
    virtual: int

    @property
    def text(self) -> str:
        """For a person."""
        return (
            f"KASLR: chosen here among {self.physical} physical and {self.virtual} virtual places"
            if max(self.physical, self.virtual) > 1
            else "KASLR: off, as the command line or the kernel says; its place is not random"
        )


@dataclass(frozen=True, slots=True)
class Placement:
    """A request that is ready to be loaded, and the parts that a person wants to see named."""

    request: LoadRequest
    kernel: Segment  # its first, where it has more than one
    entry: Entry  # how it is entered
    command_line: str
    boot_params: int = 0  # physical address of the zero page, 0 where there is none
    regions: tuple[Region, ...] = ()  # what the purgatory will check
    reasons: Mapping[int, Reason] = field(default_factory=dict, compare=False)  # of each segment, by its address
    kaslr: Kaslr | None = None  # None: the kernel chooses its place itself, or has none to choose
    marks: Marks = field(default_factory=Marks)  # where the purgatory will mark how far it is

    @property
    def kernel_entry(self) -> int:
        """The physical address at which the kernel is entered."""
        return self.entry.address

    @property
    def has_purgatory(self) -> bool:
        """Whether the kernel is not simply jumped to."""
        return self.request.entry != self.kernel_entry

    @property
    def digest_algorithm(self) -> str:
        """What the purgatory will hash them with, of DIGESTS."""
        return self.regions[0].algorithm if self.regions else "none"

    @property
    def digest_size(self) -> int:
        """Bytes that the purgatory will hash."""
        return sum(each.size for each in self.regions)


def told_unpacked(unpacked: Sequence[str], kaslr: Kaslr | None) -> tuple[str, ...]:
    """What was unpacked, and where chance put a kernel that was."""
    return (*unpacked, *([] if kaslr is None else [kaslr.text]))


class Layout:
    """The segments of one image. What is free: the machine's RAM within the limits, but for what must be avoided.

    For a crash kernel it is the reservation.
    """

    def __init__(self, host: Host, options: PlaceOptions, arch: PlacementArch) -> None:
        self.host = host
        self.options = options
        self._arch = arch
        # RAM by the memory map may be firmware's all the same: Linux keeps EFI's random seed there, and the next kernel
        # clears it (drivers/firmware/efi/efi.c), whatever was loaded over it.
        efi = options.firmware.efi
        avoid = [*options.avoid, *(each.range for each in efi.memmap)] if efi else [*options.avoid]
        self._kept = [] if options.blackbox is None else _page_of(options.blackbox)
        avoid += self._kept
        limits = [Range(0, options.mem_min), Range(min(options.mem_max, _EVERYWHERE - 1) + 1, _EVERYWHERE)]
        self.space: Space
        if options.crash is None:
            self.space = Space(host.system_ram, [*host.crash_kernel, *avoid, *limits])
        else:
            self.space = Space([options.crash.load_range], [*avoid, *limits], _RESERVE_MORE)
        self._plan: CrashPlan | None = None
        self._segments: list[Segment] = []
        self.kaslr: Kaslr | None = None

    def follow(self, plan: CrashPlan) -> None:
        """Have the parts of a crash image, whose room has been taken."""
        self._plan = plan
        self._segments += plan.segments

    @property
    def e820(self) -> list[E820Entry]:
        """The memory map that is passed to the new kernel."""
        told = list(self.host.e820 if self._plan is None else self._plan.e820 or self.host.e820)
        return with_reserved(told, self._kept[0]) if self._kept else told

    def highest(self, what: str, size: int, *, align: int = PAGE_SIZE, below: int = _EVERYWHERE) -> Range:
        """Take the highest free range, whole pages from LOW up. Raises RefusedError."""
        found = self.space.highest(page_align(size), align=align, least=LOW, below=below)
        if found is None:
            raise self.space.no_room(what, page_align(size), MORE_MEMORY, below=below)
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
    def jump_back_text_size(self) -> int:
        """Bytes that the purgatory writes after the command line; 0 for an image that does not return."""
        return self._arch.purgatory.jump_back_text_size if self.options.preserve_context else 0

    @property
    def count(self) -> int:
        """Segments so far."""
        return len(self._segments)

    def enter_directly(self, kernel: Segment, entry: Entry) -> Placement:
        """The request without a purgatory: nothing is checked, nothing is passed on."""
        return Placement(self._request(entry.address), kernel, entry, "", reasons=self.space.reasons)

    def finish(
        self,
        kernel: Segment,
        entry: Entry,
        command_line: str,
        *,
        boot_params: int = 0,
        jump_back_text: int = 0,
        stamps: int = 0,
    ) -> Placement:
        """Hash what is there, add the purgatory, and make the request.

        `stamps` is the physical address to which the purgatory writes its time stamps, 0 where it does not. Raises
        RefusedError.
        """
        regions = self._regions()
        purgatory, box = self._arch.purgatory, self.options.blackbox
        size = purgatory.size(len(regions), box=box is not None)
        has_page = box is not None and box.address is None  # behind the code: nobody else is given what is a segment's
        room = page_align(size) + PAGE_SIZE if has_page else size
        if has_page and self.space.highest(room, align=PAGE_SIZE, least=LOW, below=FOUR_GIB) is None:
            box, has_page, room = None, False, purgatory.size(len(regions))
        where = self.small("purgatory", room, low=entry.needs_low_purgatory or has_page)
        marks = Marks(stamps=stamps) if box is None else self._marks(box, entry, where, stamps)
        code = purgatory.build(
            entry,
            regions,
            console=self.options.console,
            jump_back_text=jump_back_text,
            backup=self._plan.backup if self._plan else None,
            marks=marks,
        )
        if has_page:
            code = code.ljust(page_align(size), b"\0") + marks.template
        self.add("purgatory", Readable.of(code), where)
        request = self._request(where.start, last=self._page_that_is_copied(marks))
        return Placement(
            request,
            kernel,
            entry,
            command_line,
            boot_params,
            tuple(regions),
            self.space.reasons,
            self.kaslr,
            marks,
        )

    def _page_that_is_copied(self, marks: Marks) -> list[Segment]:
        """The black box as a segment: Linux's relocation code copies it after all others, and by that marks its end.

        The kernel maps each segment for the jump, also one outside of RAM (init_pgtable in machine_kexec_64.c).
        """
        is_inside = not self._kept or not marks.box or self._plan is not None  # a crash image is where it is to be
        if is_inside or len(self._segments) >= KEXEC_SEGMENT_MAX:
            return []
        from warmboot.purgatory.record import BOX_SIZE, Stage, fresh_box  # noqa: PLC0415 - for this alone

        page = fresh_box(marks.template, Stage.RELOCATED)
        return [Segment(Readable.of(page), BOX_SIZE, marks.box, BOX_SIZE, "black box")]

    def _marks(self, box: BlackBox, entry: Entry, purgatory: Range, stamps: int) -> Marks:
        from warmboot.purgatory.record import BoxSegment, pack_template, segment_kind  # noqa: PLC0415 - for this alone

        segments = [BoxSegment(each.mem, each.memsz, segment_kind(each.name)) for each in self._segments]
        segments.append(BoxSegment(purgatory.start, purgatory.size, segment_kind("purgatory")))
        template = replace(
            box.template,
            crash=self._plan is not None,
            entry=entry.address,
            purgatory=purgatory.start,
            risks=(*box.template.risks, *self._misfits()),
            segments=tuple(sorted(segments, key=lambda each: each.start)),
        )
        at = purgatory.end - PAGE_SIZE if box.address is None else box.address
        return Marks(at, pack_template(template), stamps, box.reset, box.cmos)

    def _misfits(self) -> list[str]:
        """Names of rules that this placement breaks: what is loaded must be RAM to the new kernel, too."""
        if self._plan is not None:
            return []  # a crash kernel's map is made for what it loads
        ram = merge(each.range for each in self.e820 if each.type is E820Type.RAM)
        placed = (Range(each.mem, each.end) for each in self._segments)
        return [] if all(any(there.contains(each) for there in ram) for each in placed) else ["memory_map"]

    def _regions(self) -> list[Region]:
        if self.options.digest == "none":
            return []
        from warmboot.placement.digest import digest_regions, unhashed_regions  # noqa: PLC0415 - for this alone

        unstable = self._plan.headers if self._plan and not self._plan.digest_headers else None
        segments = sorted((each for each in self._segments if each is not unstable), key=lambda each: each.mem)
        if self.options.hashed:
            return digest_regions(segments, self.options.digest, self.options.progress)
        return unhashed_regions(segments, self.options.digest)

    def _request(self, entry: int, last: Sequence[Segment] = ()) -> LoadRequest:
        flags = KexecFlags(0) if self._plan is None else self._plan.flags
        if self.options.preserve_context:
            flags |= KexecFlags.PRESERVE_CONTEXT
        segments = sorted(self._segments, key=lambda each: each.mem)
        return LoadRequest(entry, (*segments, *last), self._arch.kexec_arch | flags)


def _page_of(box: BlackBox) -> list[Range]:
    if box.address is None:
        return []
    from warmboot.purgatory.record import BOX_SIZE  # noqa: PLC0415 - for this alone

    return [Range(box.address, box.address + BOX_SIZE)]

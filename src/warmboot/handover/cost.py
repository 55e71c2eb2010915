"""What KHO reserves on a machine, why, and which `kho_scratch=` is enough.

The scratch areas are the only memory that is sure to hold nothing preserved. The next kernel is loaded into them, and
takes everything from them until its page allocator starts; meanwhile they are lent to pages that can be moved (CMA).
By default they are twice what this kernel had reserved early (kho_reserve_scratch, Linux 7.2), which counts much that
the next kernel does not need there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from warmboot.handover.early import Part, early_parts
from warmboot.handover.scratch import Scratch, scratch_of_line, scratch_word
from warmboot.handover.switches import switched
from warmboot.memmap import Facts
from warmboot.numbers import number

__all__ = ["Area", "Cost", "Need", "NextKernel", "cost"]

_MIB = 1 << 20
_ALIGNMENT, _ALIGNMENT_BEFORE = 4 * _MIB, 2 * _MIB  # SCRATCH_ALIGNMENT_BYTES since 7.2, CMA_MIN_ALIGNMENT_BYTES before
_LOADER = _MIB  # purgatory, parameters, command line, the list of areas
_KERNEL = 64 * _MIB  # what a kernel of a distribution needs to unpack itself, where none is given
_MARGIN = 8  # an eighth more than what is needed
_LEAST = 2 * _MIB
_CRASH_ALIGN = 16 * _MIB
_SPLIT = "KASLR may put the kernel into the middle, and the reservation is one piece"


@dataclass(frozen=True, slots=True)
class NextKernel:
    """What is loaded into scratch: bytes that the kernel needs from its start on, and of its initrd; None: not known.

    `percpu` are the static bytes of each processor. `moves` is whether the kernel moves itself once more (KASLR).
    """

    init_size: int | None = None
    initrd: int | None = None
    percpu: int | None = None
    moves: bool = True


@dataclass(frozen=True, slots=True)
class Area:
    """A scratch area: below 4 GiB, anywhere, or of a node. `real` is what the running kernel has, None: not known."""

    name: str
    size: int
    real: int | None


@dataclass(frozen=True, slots=True)
class Need:
    """What the next kernel has to find in scratch, and in which area it is looked for."""

    name: str
    area: str
    size: int
    why: str


@dataclass(frozen=True, slots=True)
class Cost:
    """All of it. Sizes are bytes. `word` is what the command line has; `enough` is the word that would do.

    `total` is predicted, `real` what the running kernel has, None where that is not known; `share` is of RAM, in
    percent. `fits` is whether the machine has so much: where not, Linux switches KHO off.
    """

    enabled: bool | None
    word: str | None
    scale: int
    parts: tuple[Part, ...]
    reserved_low: int
    reserved: int
    areas: tuple[Area, ...]
    total: int
    real: int | None
    share: float
    fits: bool
    needs: tuple[Need, ...]
    enough: str
    enough_total: int
    saves: int
    notes: tuple[str, ...]


def cost(facts: Facts, following: NextKernel, *, scratch: Scratch | None = None) -> Cost:
    """What KHO costs on that machine; `scratch` in place of what its command line asks for."""
    found, word = scratch_of_line(facts.cmdline)
    asked = scratch or found
    numa = _has_numa(facts)
    initrd = following.initrd if following.initrd is not None else _told_initrd(facts)
    parts = early_parts(facts, initrd=initrd, percpu=following.percpu, kernel=following.init_size, numa=numa)
    nodes = sorted({each.node for each in (facts.numa_nodes or ()) if each.memory}) if numa else []
    areas = _areas(facts, asked, parts, nodes or [0], numa=numa)
    real = _real(facts, areas)
    areas = areas if real is None else tuple(Area(a.name, a.size, b) for a, b in zip(areas, real, strict=True))
    needs = tuple(_needs(facts, parts, following, initrd))
    sizes = _enough(needs, facts)
    total, least = sum(each.size for each in areas), sizes[0] + sizes[1] + sizes[2] * max(1, len(nodes))
    memory = sum(each.size for each in facts.system_ram)
    told = None if real is None else sum(real)
    return Cost(
        enabled=_enabled(facts),
        word=None if scratch else word,
        scale=asked.scale,
        parts=parts,
        reserved_low=sum(each.low for each in parts),
        reserved=sum(each.size for each in parts),
        areas=areas,
        total=total,
        real=told,
        share=round(100 * (total if told is None else told) / memory, 1),
        fits=total + sum(each.size for each in parts) < memory,
        needs=needs,
        enough=scratch_word(*sizes),
        enough_total=least,
        saves=(total if told is None else told) - least,
        notes=(*_notes(facts, parts, following, initrd), *_too_large(facts, areas)),
    )


def _has_numa(facts: Facts) -> bool:
    """Whether its kernel has CONFIG_NUMA, as those of distributions do."""
    return (facts.kernel_config or {}).get("CONFIG_NUMA", "y") == "y"


def _areas(
    facts: Facts, asked: Scratch, parts: Sequence[Part], nodes: Sequence[int], *, numa: bool
) -> tuple[Area, ...]:
    """Sizes as scratch_size_update and scratch_size_node make them."""
    unit = _ALIGNMENT if facts.release_number >= (7, 2) else _ALIGNMENT_BEFORE
    low, everything = sum(each.low for each in parts), sum(each.size for each in parts)
    if asked.scale:
        lowmem = low * asked.scale // 100
        anywhere = everything * asked.scale // 100 - lowmem
    else:
        lowmem, anywhere = asked.lowmem, asked.anywhere
    areas = [Area("below 4 GiB", _up(lowmem, unit), None), Area("anywhere", _up(anywhere, unit), None)]
    for node in nodes:
        # Without CONFIG_NUMA every reservation is of node 0: also the two areas, which exist by then.
        own = (
            sum(each.size for each in parts if each.node == node)
            if numa
            else everything + areas[0].size + areas[1].size
        )
        size = own * asked.scale // 100 if asked.scale else asked.pernode
        areas.append(Area(f"node {node}", _up(size, unit), None))
    return tuple(areas)


def _real(facts: Facts, areas: Sequence[Area]) -> list[int] | None:
    """The sizes of the running kernel's areas, where the facts have as many as there should be."""
    text = (facts.handover or {}).get("scratch_len", "")
    sizes = [number(each, 0) for each in text.split()[: len(areas) + 1]]
    known = [each for each in sizes if each is not None]
    return known if len(known) == len(sizes) == len(areas) else None


def _needs(facts: Facts, parts: Sequence[Part], following: NextKernel, initrd: int | None) -> list[Need]:
    kernel = _KERNEL if following.init_size is None else following.init_size
    needs = [Need("the next kernel", "below 4 GiB", kernel, "where it is loaded and unpacks itself")]
    if following.moves:
        needs.append(Need("the next kernel, moved", "below 4 GiB", kernel, "KASLR takes it to another place there"))
    needs.append(Need("its initrd", "below 4 GiB", initrd or 0, "in one piece"))
    needs.append(Need("what loads it", "below 4 GiB", _LOADER, "purgatory, parameters, the list of areas"))
    for each in parts:
        if each.name in ("the kernel", "the initrd"):
            continue
        if each.low:
            needs.append(Need(each.name, "below 4 GiB", each.low, each.why))
            if each.name == "the crash reservation" and following.moves:
                size = each.low + _CRASH_ALIGN
                needs.append(Need("room for it on either side of the kernel", "below 4 GiB", size, _SPLIT))
        if each.high:
            needs.append(Need(each.name, "anywhere" if each.node is None else f"node {each.node}", each.high, each.why))
    return [each for each in needs if each.size]


def _enough(needs: Sequence[Need], facts: Facts) -> tuple[int, int, int]:
    """What `kho_scratch=` takes: below 4 GiB, anywhere, and for each node, which is the most that any of them needs."""
    sums: dict[str, int] = {}
    for each in needs:
        sums[each.area] = sums.get(each.area, 0) + each.size
    lowmem, anywhere = (_with_margin(sums.pop(each, 0)) for each in ("below 4 GiB", "anywhere"))
    return lowmem, anywhere, max((_with_margin(each) for each in sums.values()), default=0)


def _with_margin(size: int) -> int:
    return _up(size + size // _MARGIN + _LEAST, _ALIGNMENT) if size else 0


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def _too_large(facts: Facts, areas: Sequence[Area]) -> list[str]:
    """Linux takes each area in one piece, wherever KASLR has put the kernel; without one of them KHO is off."""
    piece = max((each.size for each in facts.system_ram), default=0)
    return [
        f"the area {'of ' * each.name.startswith('node')}{each.name} is more than half of the largest piece of memory:"
        " where KASLR puts the kernel into the middle of that, Linux finds no room and switches KHO off"
        for each in areas
        if 2 * each.size > piece and "nokaslr" not in facts.cmdline.split()
    ]


def _told_initrd(facts: Facts) -> int | None:
    return number((facts.handover or {}).get("initrd", ""))


def _enabled(facts: Facts) -> bool | None:
    config = facts.kernel_config or {}
    if config.get("CONFIG_KEXEC_HANDOVER") == "n":
        return False
    default = config.get("CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT")
    return switched(facts.cmdline, "kho", None if default is None else default == "y")


def _notes(facts: Facts, parts: Sequence[Part], following: NextKernel, initrd: int | None) -> list[str]:
    notes = []
    if following.init_size is None:
        notes.append("no kernel was given: 64 MiB are assumed for the next one")
    if initrd is None:
        notes.append("the initrd is not known: none is counted; give it with --initrd")
    guessed = [each for each in parts if not each.exact]
    if guessed:
        notes.append(f"assumed, not known by a rule: {', '.join(each.name for each in guessed)}")
    if any(each.name == "the crash reservation" for each in parts):
        times = "two" if _has_numa(facts) else "eight"
        notes.append(f"the crash reservation counts: with kho=on each MiB of crashkernel= costs {times} more")
    if any(each.name.startswith("huge pages") for each in parts):
        notes.append("huge pages of 1 GiB count: ask for them after the boot, or give kho_scratch= sizes")
    return notes

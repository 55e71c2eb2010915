"""Looking at a machine's memory for handovers: every root that is in it, which of them is whose, and what they keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from warmboot.errors import WarmbootError
from warmboot.handover.abi import LUO
from warmboot.handover.blocks import blocks
from warmboot.handover.figures import HandoverAnswer, HeldSession, Side
from warmboot.handover.interface import HandoverError, PhysicalMemory
from warmboot.handover.kernel_lists import VirtualMemory, kernel_scratch, kernel_sessions
from warmboot.handover.luo import SESSION, LuoState, read_session
from warmboot.handover.metered import Metered
from warmboot.handover.root import Root
from warmboot.handover.scan import Found, KhoData, read_scratch, scan
from warmboot.handover.sessions import BY_FORM, BY_STATE
from warmboot.handover.side import SideReader
from warmboot.memmap.ranges import Range

__all__ = ["Given", "Look", "look"]


@dataclass(frozen=True, slots=True)
class Given:
    """What is known besides memory: `incoming` is the physical address of the FDT that this kernel was handed; the
    rest goes into the answer. `fragments` are roots as debugfs has them, with their subtrees' bytes, where memory
    cannot be read. `kernel` gives memory by the kernel's own addresses, and its symbols, where there is such a thing;
    it is asked only where something has no name."""

    source: str
    memory: str
    release: str = ""
    parameters: tuple[str, ...] = ()
    ram: tuple[Range, ...] = ()
    scratch: tuple[Range, ...] = ()
    held: tuple[HeldSession, ...] = ()
    incoming: KhoData | None = None
    fragments: Mapping[Side, tuple[Root, dict[str, bytes]]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    kernel: Callable[[], tuple[VirtualMemory, Mapping[str, int]] | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Look:
    """The answer; the readers that it was made by, by their side; and the memory, which has the files' content."""

    answer: HandoverAnswer
    readers: tuple[tuple[Side, SideReader], ...]
    memory: PhysicalMemory | None = None


def look(memory: PhysicalMemory | None, given: Given) -> Look:
    """Find and read every handover. Raises HandoverError where there is none."""
    whole = memory
    found = scan(memory) if memory is not None else Found()
    memory = Metered(memory) if memory is not None else None
    readers = [SideReader(root, memory) for root in found.roots]
    sided = _sides(readers, given)
    for side, (root, blobs) in given.fragments.items():
        if all(each is not side for each, _ in sided):
            sided.append((side, SideReader(root, None, blobs)))
    if not sided:
        raise HandoverError(f"{given.source}: {_nothing(given)}", hint=_HINT)
    if memory is not None:
        _sessions(memory, sided, found)
        _named(sided, given)
    scratch, source = _scratch(memory, given, found, sided)
    figures = tuple(reader.figures(side) for side, reader in sided)
    answer = HandoverAnswer(
        given.source,
        given.memory,
        given.release,
        given.parameters,
        given.ram,
        scratch,
        source,
        figures,
        given.held,
        given.problems,
    )
    return Look(answer, tuple(sided), whole)


_HINT = "boot a kernel with CONFIG_KEXEC_HANDOVER by kho=on; docs/handover.md says which have it"


def _nothing(given: Given) -> str:
    return "no handover is in it: no device tree of kho is at the start of any page" if given.memory else "no handover"


def _sides(readers: Sequence[SideReader], given: Given) -> list[tuple[Side, SideReader]]:
    """Which root is whose: the one with the highest count of kexecs is what the running kernel gives, the one with one
    less is what it got; older ones are what nobody has written over."""
    incoming = given.incoming.fdt if given.incoming else None
    counts = [each.chain.kexec_count for each in readers if each.chain]
    highest = max(counts, default=None)
    sided = []
    for reader in readers:
        if reader.root.address == incoming:
            side = Side.IN
        elif reader.chain is None or highest is None:
            side = Side.OUT if incoming is not None or len(readers) == 1 else Side.UNKNOWN
        elif reader.chain.kexec_count == highest:
            other = given.release and reader.chain.previous_release not in ("", given.release)
            side = Side.IN if other and len(readers) == 1 else Side.OUT
        else:
            side = Side.IN if reader.chain.kexec_count == highest - 1 and incoming is None else Side.LEFT_OVER
        sided.append((side, reader))
    order = list(Side)
    return sorted(sided, key=lambda each: (order.index(each[0]), each[1].root.address))


def _sessions(memory: PhysicalMemory, sided: Sequence[tuple[Side, SideReader]], found: Found) -> None:
    """Sessions that LUO's state tells; and what is left by its form, which belongs to the first side without."""
    known = set[int]()
    for _, reader in sided:
        if reader.luo is not None and reader.files is not None:
            for session in reader.luo.sessions:
                reader.files.add(session, BY_STATE)
            known.update(address for address, _ in reader.luo.pages)
    for side, reader in sided:
        if reader.files is not None and side in (Side.OUT, Side.UNKNOWN):
            preserved = reader.map
            reader.files.search(
                [] if preserved is None else [each for each in found.memfds if preserved.folio_at(each)]
            )
            if reader.luo is not None and not reader.luo.serialized:
                reader.files.blank_blocks()
    receiver = next((each for side, each in sided if side is Side.IN), None)
    if receiver is None and sided[0][1].luo is None:
        receiver = sided[0][1]
    if receiver is None or receiver.files is None:
        return
    for state in _by_form(memory, [each for each in found.sessions if each not in known]):
        for session in state.sessions:
            receiver.files.add(session, BY_FORM)
    taken = {address for _, reader in sided if reader.files for address in reader.files.memfds}
    receiver.files.search([each for each in found.memfds if each not in taken])


def _named(sided: Sequence[tuple[Side, SideReader]], given: Given) -> None:
    """Names and tokens of the kernel's own lists, for memfds that have none."""
    nameless = {side: reader.files for side, reader in sided if reader.files and reader.files.loose}
    kernel = given.kernel() if nameless else None
    if kernel is None:
        return
    handlers = {each.address: each.version.compatible for files in nameless.values() for each in files.loose}
    for side, sessions in kernel_sessions(*kernel, handlers).items():
        files = nameless.get(side)
        for session in sessions if files is not None else ():
            assert files is not None
            if all(each.name != session.name for each in files.sessions):
                files.adopt(session)


def _by_form(memory: PhysicalMemory, heads: Sequence[int]) -> list[LuoState]:
    """Sessions in blocks that look like ones; what is named by another block is not a head."""
    read, seen = [], set[int]()
    for head in heads:
        if head in seen:
            continue
        state = LuoState(LUO[-1].name, LUO[-1], True, 0)
        try:
            for block, entries in blocks(memory, head, SESSION, "sessions"):
                state.pages.append((block, 1))
                seen.add(block)
                for entry in entries:
                    read_session(memory, state, entry)
        except WarmbootError:
            continue
        if not state.problems and any(each.files for each in state.sessions):
            read.append(state)
    followers = {address for state in read for address, _ in state.pages[1:]}
    return [each for each in read if each.pages[0][0] not in followers]


def _scratch(
    memory: PhysicalMemory | None, given: Given, found: Found, sided: Sequence[tuple[Side, SideReader]]
) -> tuple[tuple[Range, ...], str]:
    if given.scratch:
        return given.scratch, "debugfs"
    if memory is None:
        return (), ""
    top = max((each.stop for each in memory.ranges.runs()), default=0)
    roots = {reader.root.address for _, reader in sided}
    for data in (*([given.incoming] if given.incoming else ()), *found.data):
        if data.fdt in roots and data.scratch_size <= 1 << 20:
            try:
                areas = read_scratch(memory.physical(data.scratch, data.scratch_size), top)
            except WarmbootError:
                continue
            if areas:
                return areas, "what the kernel was handed (setup_data)"
    kernel = given.kernel()
    if kernel is not None and (areas := read_scratch(kernel_scratch(*kernel), top)):
        return areas, "the kernel's own list"
    if len(found.scratch) == 1:
        return found.scratch[0], "an array of that form in memory"
    return (), ""

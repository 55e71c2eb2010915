"""One handover, read from its root on: what is preserved, whose it is, and what of it can be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from warmboot.errors import WarmbootError
from warmboot.handover.abi import KhoVersion, LuoVersion, MemfdVersion
from warmboot.handover.csum import checksum, same
from warmboot.handover.fdt import MAGIC
from warmboot.handover.figures import (
    LuoFigures,
    MapFigures,
    OwnerKind,
    SessionFigures,
    Side,
    SideFigures,
    SubtreeFigures,
    TestFigures,
    VersionFigures,
)
from warmboot.handover.interface import PAGE_SIZE, HandoverError, PhysicalMemory
from warmboot.handover.luo import LuoState, read_luo
from warmboot.handover.owners import Owners
from warmboot.handover.preserved import PreservedMap, read_map
from warmboot.handover.root import Root, Subtree
from warmboot.handover.sessions import Files
from warmboot.handover.users import (
    KexecMetadata,
    KhoTest,
    ReserveMem,
    read_kho_test,
    read_memblock,
    read_metadata,
)

__all__ = ["SideReader", "version_figures"]

LUO_NAME, METADATA_NAME, MEMBLOCK_NAME, TEST_NAME = "LUO", "kexec-metadata", "memblock", "kho_test"
_LARGEST_BLOB = 16 << 20  # bytes of a subtree that are read
_SUMMED = 4 << 20  # bytes of a folio that are summed at once


def version_figures(compatible: str, version: KhoVersion | LuoVersion | MemfdVersion, *, known: bool) -> VersionFigures:
    """A version, as it is told."""
    return VersionFigures(compatible, known, version.name, version.since)


class SideReader:
    """Reads the handover of one root; `memory` is None where only what debugfs shows is there, in `blobs` by name."""

    def __init__(self, root: Root, memory: PhysicalMemory | None, blobs: dict[str, bytes] | None = None) -> None:
        self.root = root
        self.memory = memory
        self._blobs = blobs or {}
        self.problems: list[str] = list(root.problems)
        self._luo_gone = ""
        self.test_folios: list[tuple[int, int]] = []  # of the test module: physical address, bytes
        self.luo: LuoState | None = None
        self.chain: KexecMetadata | None = None
        self._reserve_mem: list[ReserveMem] = []
        self._test: TestFigures | None = None
        self.map: PreservedMap | None = self._map()
        self.owners: Owners = Owners(self.map)
        self._users()
        self.files: Files | None = Files(memory, self.owners) if memory is not None else None

    def _map(self) -> PreservedMap | None:
        if self.memory is None or not self.root.map:
            return None
        return read_map(self.memory, self.root.version.map, self.root.map)

    def _users(self) -> None:
        if self.root.address:
            self.owners.claim("KHO's root FDT", OwnerKind.KHO, [(self.root.address, PAGE_SIZE)])
        for each in self.root.subtrees:
            try:
                self._user(each)
            except WarmbootError as error:
                self.problems.append(str(error))

    def _user(self, subtree: Subtree) -> None:
        data = self._blob(subtree)
        kind = OwnerKind.LUO if subtree.name == LUO_NAME else OwnerKind.SUBTREE
        claim = [(subtree.address, max(1, len(data)))]
        match subtree.name:
            case "LUO" if data:
                # Linux frees this page once it has read it, so it is LUO's only if it still says so.
                memory = self.memory or _Nothing()
                try:
                    self.luo = read_luo(memory, data, subtree.address)
                except HandoverError as error:
                    self._luo_gone = str(error)
                    return
                if self.memory is not None:
                    self.problems += self.luo.problems
                claim = self.luo.pages
            case "kexec-metadata":
                self.owners.claim(METADATA_NAME, OwnerKind.KHO, claim)
                self.chain = read_metadata(data)
                return
            case "memblock":
                self._reserve_mem = read_memblock(data)
                for each in self._reserve_mem:
                    where = [(each.start, each.size)]
                    self.owners.claim(f"reserve_mem {each.name}", OwnerKind.RESERVE_MEM, where)
            case "kho_test":
                self._kho_test(read_kho_test(data), claim)
                return
        self.owners.claim(subtree.name, kind, claim)

    def _blob(self, subtree: Subtree) -> bytes:
        kept = self._blobs.get(subtree.name)
        if kept is not None or self.memory is None:
            return kept or b""
        if subtree.size:
            return self.memory.physical(subtree.address, min(subtree.size, _LARGEST_BLOB))
        data = self.memory.physical(subtree.address, PAGE_SIZE)  # before kho-v3 it is a device tree, which tells
        size = int.from_bytes(data[4:8], "big") if data.startswith(MAGIC) else 0
        return self.memory.physical(subtree.address, min(size, _LARGEST_BLOB)) if size > PAGE_SIZE else data

    def _kho_test(self, test: KhoTest, claim: Iterable[tuple[int, int]]) -> None:
        self.owners.claim(TEST_NAME, OwnerKind.TEST, claim)
        if self.memory is None:
            self._test = TestFigures(test.count, 0, test.checksum, None)
            return
        if test.list is not None:
            self.owners.claim(TEST_NAME, OwnerKind.TEST, self.owners.area(test.list, self.memory))
        folios = self.test_folios = list(test.folios(self.memory))
        self.owners.claim(TEST_NAME, OwnerKind.TEST, folios)
        found = self._sum(folios)
        self._test = TestFigures(test.count, sum(size for _, size in folios), test.checksum, found)
        if found is not None and not same(test.checksum, found):
            self.problems.append("kho_test: the sum of its folios is not what was kept: they were written over")

    def _sum(self, folios: Sequence[tuple[int, int]]) -> int | None:
        memory = self.memory
        assert memory is not None
        try:
            return checksum(
                memory.physical(at, min(_SUMMED, address + size - at))
                for address, size in folios
                for at in range(address, address + size, _SUMMED)
            )
        except WarmbootError:
            return None

    def figures(self, side: Side) -> SideFigures:
        """All of it, once sessions and files were added."""
        root, luo, files = self.root, self.luo, self.files
        if self._luo_gone and side is Side.OUT:
            self.problems.append(self._luo_gone)
        sessions: tuple[SessionFigures, ...] = tuple(files.sessions) if files else ()
        if files is not None:
            self.problems += files.problems
        return SideFigures(
            side,
            root.address,
            version_figures(root.compatible, root.version, known=root.known),
            self._map_figures(),
            tuple(SubtreeFigures(each.name, each.address, each.size) for each in root.subtrees),
            self.chain,
            LuoFigures(
                version_figures(luo.compatible, luo.version, known=luo.known),
                luo.number,
                luo.serialized,
                tuple(luo.bound),
            )
            if luo
            else None,
            sessions,
            tuple(files.loose) if files else (),
            tuple(self._reserve_mem),
            self._test,
            self.owners.figures(),
            self.owners.unowned(),
            tuple(self._notes(side)),
            tuple(dict.fromkeys(self.problems)),
        )

    def _notes(self, side: Side) -> Iterator[str]:
        if side is Side.OUT:
            if self.luo is not None and not self.luo.serialized:
                yield "LUO has no sessions yet for the next kernel: Linux writes names and tokens when it jumps"
            return
        if self._luo_gone:
            yield "LUO's state is gone: Linux frees it once it has read it; sessions are told by their form"
        found = self.map
        if found is not None and (found.damaged or not self.owners.all_listed()):
            yield "the map was written over: its pages are free once Linux has read it; owners are told by structures"

    def _map_figures(self) -> MapFigures | None:
        found = self.map
        if found is None:
            return None
        ranges = tuple(found.ranges)
        return MapFigures(
            self.root.map,
            self.root.version.map.value,
            len(found.nodes),
            len(found.damaged),
            found.cut_short,
            not found.damaged and self.owners.all_listed(),
            found.folios(),
            sum(each.size for each in ranges),
            ranges,
        )


class _Nothing:
    """No memory at all: debugfs alone."""

    def __init__(self) -> None:
        from warmboot.memmap.range_set import RangeSet  # noqa: PLC0415

        self.ranges = RangeSet()

    def physical(self, address: int, size: int) -> bytes:
        """As PhysicalMemory says."""
        raise HandoverError(f"{size} bytes at {address:#x} cannot be read", hint="run it as root")

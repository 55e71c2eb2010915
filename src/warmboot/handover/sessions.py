"""Sessions and their files, with the memory that each takes; and memfds that no session tells of yet."""

from __future__ import annotations

from collections.abc import Iterable

from warmboot.errors import WarmbootError
from warmboot.handover.abi import MEMFD, version_of
from warmboot.handover.figures import FileFigures, MemfdFigures, OwnerKind, SessionFigures, VersionFigures
from warmboot.handover.interface import PAGE_SIZE, PhysicalMemory, u64
from warmboot.handover.luo import LuoFile, LuoSession
from warmboot.handover.memfd import SEALS, Memfd, is_memfd, read_memfd
from warmboot.handover.owners import Owners
from warmboot.memmap.range_set import RangeSet
from warmboot.visible import visible

__all__ = ["BY_FORM", "BY_LISTS", "BY_STATE", "Files", "memfd_of"]

BY_STATE = "in LUO's state"
BY_FORM = "by its form in memory"
BY_LISTS = "in the kernel's own lists"


def memfd_of(memory: PhysicalMemory, file: LuoFile) -> tuple[Memfd, bool] | None:
    """The memfd that a file is, and whether its version is known; None where its handler is another.

    Raises WarmbootError where it cannot be read; it is None, too, where there is none any more.
    """
    found = version_of(MEMFD, file.handler)
    if found is None:
        return None
    version, known = found
    memfd = read_memfd(memory.physical(file.data, version.size), version, file.data)
    return None if memfd is None else (memfd, known)


class Files:
    """Collects sessions, and claims their memory with `owners`."""

    def __init__(self, memory: PhysicalMemory, owners: Owners) -> None:
        self._memory, self._owners = memory, owners
        self.sessions: list[SessionFigures] = []
        self.loose: list[MemfdFigures] = []
        self.problems: list[str] = []
        self.memfds: dict[int, Memfd] = {}  # by the address of the structure
        self.tokens: dict[tuple[str, int], int] = {}  # that address by session and token

    def add(self, session: LuoSession, found: str) -> None:
        """Add a session with its files."""
        files = [self._file(session.name, each, found) for each in session.files]
        self.sessions.append(SessionFigures(session.name, found, tuple(files)))

    def _file(self, session: str, file: LuoFile, found: str) -> FileFigures:
        name = f"{visible(session)}/{file.token:#x}"
        figures = None
        if file.data in self.memfds:  # no file has two names
            self.problems.append(f"{name}: the memfd at {file.data:#x} has another name as well")
            return FileFigures(file.token, file.handler, file.data, None)
        try:
            memfd = memfd_of(self._memory, file)
            if memfd is not None:
                known = VersionFigures(file.handler, memfd[1], memfd[0].version.name, memfd[0].version.since)
                figures = self._memfd(name, memfd[0], known, found)
                self.tokens[session, file.token] = file.data
            elif version_of(MEMFD, file.handler) is not None:
                self.problems.append(f"{name}: at {file.data:#x} is no memfd any more: it was taken over, or freed")
        except WarmbootError as error:
            self.problems.append(f"{name}: {error}")
        return FileFigures(file.token, file.handler, file.data, figures)

    def adopt(self, session: LuoSession) -> None:
        """A session of the kernel's own lists, whose memfds were found by their form: they get its name."""
        files = list[FileFigures]()
        for each in session.files:
            memfd = next((found for found in self.loose if found.address == each.data), None)
            if memfd is not None:
                self.loose.remove(memfd)
                name = f"{visible(session.name)}/{each.token:#x}"
                self._owners.rename(_loose_name(each.data), name, OwnerKind.MEMFD)
                self.tokens[session.name, each.token] = each.data
                files.append(FileFigures(each.token, each.handler, each.data, memfd))
            else:
                files.append(self._file(session.name, each, BY_LISTS))
        self.sessions.append(SessionFigures(session.name, BY_LISTS, tuple(files)))

    def search(self, pages: Iterable[int]) -> None:
        """Add the memfds that begin at these pages, and have no session."""
        taken = RangeSet()
        for address in pages:
            if address in self.memfds or address in taken:
                continue
            try:
                memfd = is_memfd(self._memory.physical(address, PAGE_SIZE), address)
                if memfd is None:
                    continue
                version = VersionFigures(memfd.version.name, True, memfd.version.name, memfd.version.since)
                figures = self._memfd(_loose_name(address), memfd, version, BY_FORM, strict=True)
            except WarmbootError:
                continue  # what it lists is no such thing
            self.loose.append(figures)
            for each in self._owners.claim(_loose_name(address), OwnerKind.MEMFD, ()):
                taken.add(each.start, each.end)

    def blank_blocks(self) -> None:
        """Claim the blocks that Linux keeps ready for sessions and files, and fills when it jumps: they are blank, but
        for the address of the next one."""
        blank = list[tuple[int, int]]()
        for address in self._owners.free_pages():
            try:
                page = self._memory.physical(address, PAGE_SIZE)
            except WarmbootError:
                continue
            if not any(page[8:]) and u64(page) % PAGE_SIZE == 0:
                blank.append((address, PAGE_SIZE))
        if blank:
            self._owners.claim("LUO's blocks that are filled at the jump", OwnerKind.LUO, blank)

    def _memfd(
        self, name: str, memfd: Memfd, version: VersionFigures, found: str, *, strict: bool = False
    ) -> MemfdFigures:
        """Claim its memory. With `strict`, raises WarmbootError unless all of it is there."""
        where, pieces, whole = [(memfd.address, memfd.version.size)], 0, True
        try:
            if memfd.list is not None:
                where += self._owners.area(memfd.list, self._memory)
            for each in memfd.pieces(self._memory):
                where.append((each.address, each.size))
                pieces += 1
                whole = whole and _there(self._memory, each.address, each.size)
        except WarmbootError as error:
            if strict:
                raise
            whole = False
            self.problems.append(f"{name}: {error}")
        self._owners.claim(name, OwnerKind.MEMFD, where)
        self.memfds[memfd.address] = memfd
        seals = tuple(each for bit, each in enumerate(SEALS) if memfd.seals >> bit & 1)
        return MemfdFigures(
            memfd.address, version, found, memfd.size, memfd.position, seals, memfd.folios, pieces, whole
        )


def _loose_name(address: int) -> str:
    return f"memfd at {address:#x}"


def _there(memory: PhysicalMemory, address: int, size: int) -> bool:
    """Whether all of these bytes can be read."""
    return sum(map(len, memory.ranges.within(address, address + size))) == size

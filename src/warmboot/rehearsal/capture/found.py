"""What is in a saved dump: the pieces of memory, the registers, and what the first kernel had put there."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from warmboot.crash_figures import DumpFigures, ProcessorFigures
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.interface import DumpError
from warmboot.dump.kallsyms import Kallsyms, read_kallsyms
from warmboot.dump.log import log_records
from warmboot.dump.vmcoreinfo import parse_vmcoreinfo
from warmboot.formats.elf import PT_LOAD, PT_NOTE, Header, ProgramHeader, header, notes, program_headers
from warmboot.rehearsal.arch import RehearsalArch, of
from warmboot.rehearsal.capture.companion import Marks
from warmboot.rehearsal.capture.watch import DEATH
from warmboot.visible import visible

__all__ = ["SavedDump"]

_NT_PRSTATUS = 1
_MOST_PIECES = 1 << 16
_MOST_NOTES = 64 << 20  # bytes
_STACK = 32 << 10  # bytes: the largest kernel stack (THREAD_SIZE of x86 with KASAN)
_PANIC = b"Kernel panic - not syncing: "
_PAGE = 4096
_JUMPS = ("__crash_kexec", "crash_kexec", "panic")  # who notes its own registers there (kernel/crash_core.c)
_SHOWN = 200
_MOST_PLACES = 16


class SavedDump:
    """A saved /proc/vmcore, mapped; `size` bytes of the file are the dump. A context manager.

    Raises DumpError where it is none.
    """

    def __init__(self, path: Path, machine: str, size: int) -> None:
        self._path, self._name = path, path.name
        self._arch: RehearsalArch = of(machine)
        with path.open("rb") as file:
            if size <= 0 or os.fstat(file.fileno()).st_size < size:
                raise self._wrong(0, f"{size} bytes of a dump")
            self._map = mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ)
        self.size: int = size
        try:
            self.headers: list[ProgramHeader] = self._program_headers()
        except BaseException:
            self._map.close()
            raise

    def __enter__(self) -> SavedDump:
        return self

    def __exit__(self, *_: object) -> None:
        self._map.close()

    @property
    def loads(self) -> list[ProgramHeader]:
        """The pieces of memory; the first is the kernel's text, the others are RAM."""
        return [each for each in self.headers if each.type == PT_LOAD]

    def notes(self) -> Iterator[tuple[bytes, int, bytes]]:
        """All notes."""
        for each in self.headers:
            if each.type == PT_NOTE and each.filesz <= _MOST_NOTES:
                data = self._map[each.offset : min(each.offset + each.filesz, self.size)]
                yield from notes(memoryview(data))

    def physical(self, address: int, size: int) -> bytes | None:
        """The bytes there; None where the dump has not all of them."""
        for each in self.loads:
            if each.paddr <= address and address + size <= each.paddr + each.filesz:
                at = each.offset + address - each.paddr
                return self._map[at : at + size] if at + size <= self.size else None
        return None

    def view(self, each: ProgramHeader, start: int, size: int) -> memoryview:
        """Bytes of a piece, from its byte `start` on; to be released before the dump is closed."""
        at = each.offset + start
        return memoryview(self._map)[at : min(at + size, self.size)]

    def figures(self, marks: Marks, death: str, process: int, path: Path | None) -> DumpFigures:
        """What is found of a first kernel that had `marks`, whose last words were `death`, crashed by `process`."""
        core = ElfCore(self._path)
        processors = self._processors(core, process)
        log = _log(core)
        release = ""
        for name, _, desc in self.notes():
            if name.startswith(b"VMCOREINFO"):
                release = parse_vmcoreinfo(desc).release
        return DumpFigures(
            path=None if path is None else str(path),
            bytes=self.size,
            pieces=len(self.loads),
            ram=sum(each.filesz for each in self.loads[1:]),
            release=visible(release, most=_SHOWN),
            panic=self._panic(death, log),
            message=any(marks.message in each for each in log) if log else self._map.find(marks.message.encode()) >= 0,
            pattern_at=tuple(dict.fromkeys(self._places(marks.pattern))),
            processors=tuple(processors),
        )

    def _panic(self, death: str, log: list[str]) -> str:
        """The words of the death as the dump's log has them, or its memory where there is no log; empty for none."""
        said = [each[0] for each in map(DEATH.search, log) if each is not None]
        if said:
            return visible(next((each for each in said if "Kernel panic" in each), said[0]), most=_SHOWN)
        text = death.encode("ascii", "ignore")
        return death if text and self._map.find(text.removeprefix(_PANIC)) >= 0 else ""

    def _places(self, pattern: bytes) -> Iterator[int]:
        """Physical addresses of the pattern."""
        at, found = -1, 0
        while found < _MOST_PLACES and (at := self._map.find(pattern, at + 1)) >= 0:
            for each in self.loads:
                if each.offset <= at < each.offset + each.filesz:
                    found += 1
                    yield each.paddr + at - each.offset
                    break

    def _processors(self, core: ElfCore, process: int) -> list[ProcessorFigures]:
        """Those with a note; the one that panicked is in the function that jumps, or runs the process that crashed."""
        found = list(self._noted(core))
        jumping = [each for each in found if each.function.startswith(_JUMPS)]
        crashed = jumping or [each for each in found if process and each.process == process]
        return [replace(each, panicked=each in crashed) for each in found]

    def _noted(self, core: ElfCore) -> Iterator[ProcessorFigures]:
        symbols = _symbols(core)
        number = 0
        for name, kind, desc in self.notes():
            if kind == _NT_PRSTATUS and name.startswith(b"CORE"):
                told = self._arch.prstatus(desc)
                if told is not None:
                    counter, stack = self._arch.pointers(told[1])
                    yield ProcessorFigures(
                        number,
                        told[0],
                        False,
                        told[1],
                        function=str(symbols.lookup(counter) or "") if symbols is not None and counter >> 63 else "",
                        known=self._known(core, told[1], stack),
                    )
                number += 1

    def _known(self, core: ElfCore, registers: Mapping[str, int], stack: int) -> str:
        """Where the known values are: in the registers, or where a system call's entry put them."""
        marks = self._arch.crash_marks
        if all(registers.get(name) == value for name, value in marks.items()):
            return "registers"
        # The stack ends at a multiple of its size, and grows down.
        for page in range(stack, stack + _STACK, _PAGE):
            start = page if page == stack else page // _PAGE * _PAGE
            try:
                data = core.virtual(start, _PAGE - start % _PAGE)
            except DumpError:
                break
            if self._arch.pushed_marks() in data:
                return "stack"
        return ""

    def _program_headers(self) -> list[ProgramHeader]:
        head: Header | None = header(self._map[:64])
        if head is None or self._map[:4] != b"\x7fELF" or not 0 < head.phnum < _MOST_PIECES:
            raise self._wrong(0, "the ELF header of a dump")
        if head.phentsize != head.phdr_size or head.phdrs_end > self.size:
            raise self._wrong(head.phoff, f"{head.phnum} program headers")
        return list(program_headers(self._map[head.phoff : head.phdrs_end], head.bits))

    def _wrong(self, offset: int, expected: str) -> DumpError:
        return DumpError(
            f"{visible(self._name)}: at offset {offset:#x}: no {expected}",
            hint="look at the capture kernel's console by --console FILE",
        )


def _symbols(core: ElfCore) -> Kallsyms | None:
    """The dump's own symbols; None where it does not tell where they are."""
    try:
        return read_kallsyms(core)
    except DumpError:
        return None


def _log(core: ElfCore) -> list[str]:
    """The texts of the dump's log; none where it does not tell where that is."""
    try:
        return [each.text.decode("utf-8", "replace") for each in log_records(core)]
    except DumpError:
        return []

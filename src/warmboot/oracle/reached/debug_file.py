"""A kernel with its symbols (vmlinux of a package of debugging information): functions of some files, and whose code an
address is."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warmboot.closing import Closing
from warmboot.errors import InputError, MissingToolError
from warmboot.memmap import Range

if TYPE_CHECKING:
    pass

__all__ = ["CodeFunction", "DebugFile", "Place"]

_BUGFLAG_WARNING = 1  # include/linux/bug.h


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the source, told so that it stays when lines before its function come or go.

    `function` is the one of its file that has the line, `offset` how many lines the line is below the function's name.
    """

    file: str
    function: str
    line: int
    offset: int


@dataclass(frozen=True, slots=True)
class _Scope:
    """A function, or one that was inlined, with the scopes inlined into it; `call_*` are where it was."""

    file: str
    name: str
    line: int
    ranges: tuple[Range, ...]
    call_line: int
    inner: tuple[_Scope, ...]

    def chain(self, address: int) -> list[_Scope]:
        """This scope, and those inside that hold the address, the innermost last."""
        for each in self.inner:
            if any(piece.start <= address < piece.end for piece in each.ranges):
                return [self, *each.chain(address)]
        return [self]


@dataclass(frozen=True, slots=True)
class CodeFunction:
    """A function that has code of its own, in one piece or several (those with .cold in their symbol's name)."""

    name: str
    file: str
    ranges: tuple[Range, ...]
    _scope: _Scope
    _lines: tuple[list[int], list[tuple[str, int]]]

    def place(self, address: int) -> Place:
        """The innermost line of the function's own file that the address belongs to."""
        chain = self._scope.chain(address)
        file, line = self._line(address)
        for depth in range(len(chain) - 1, -1, -1):
            scope = chain[depth]
            if scope.file == self.file:
                own = line if depth == len(chain) - 1 and file == self.file else None
                called = chain[depth + 1].call_line if depth + 1 < len(chain) else scope.line
                found = own if own is not None else called
                return Place(self.file, scope.name, found, found - scope.line)
        return Place(self.file, self.name, self._scope.line, 0)

    def inlined(self, address: int) -> str:
        """The innermost function whose code that is, also if another file has it."""
        return self._scope.chain(address)[-1].name

    def _line(self, address: int) -> tuple[str, int]:
        addresses, rows = self._lines
        at = bisect_right(addresses, address) - 1
        return rows[at] if at >= 0 else ("", 0)


class DebugFile(Closing):
    """`path`, opened. A context manager. Raises InputError where it has no debugging information."""

    def __init__(self, path: Path) -> None:
        try:
            from elftools.elf.elffile import ELFFile  # noqa: PLC0415 - an extra
        except ImportError:
            raise MissingToolError(
                "pyelftools is not installed: debugging information cannot be read", hint="pip install pyelftools"
            ) from None
        self.path = path
        self._file = path.open("rb")
        self._elf: Any = ELFFile(self._file)
        if not self._elf.has_dwarf_info():
            self.close()
            raise InputError(f"{path}: no debugging information", hint="give the vmlinux of a -dbg package")
        self._dwarf: Any = self._elf.get_dwarf_info(relocate_dwarf_sections=False)
        self._symbols: Any = self._elf.get_section_by_name(".symtab")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def functions(self, files: Sequence[str]) -> list[CodeFunction]:
        """The functions that those files have, each named as from the source's root. Raises InputError for one that
        is no part of this kernel."""
        missing, found = set(files), list[CodeFunction]()
        for unit in self._dwarf.iter_CUs():
            top = unit.get_top_DIE()
            name = _text(top, "DW_AT_name")
            if name in missing:
                missing.remove(name)
                found += _Unit(self._dwarf, unit, name).functions()
                if not missing:
                    return found
        raise InputError(
            f"{self.path}: nothing of {', '.join(sorted(missing))}", hint="this kernel has it not built in"
        )

    def has_section(self, name: str) -> bool:
        """Whether the file has that section."""
        return self._elf.get_section_by_name(name) is not None

    def fixups(self) -> Iterator[int]:
        """Where the kernel goes on after a fault that it expects: the exception table's second column."""
        address, data = self._section("__ex_table")
        for at in range(0, len(data), 12):
            yield address + at + 4 + struct.unpack_from("<i", data, at + 4)[0]

    def warnings(self) -> set[int]:
        """The addresses of ud2 behind which the kernel goes on, as after WARN_ON."""
        address, data = self._section("__bug_table")
        size = 12 if len(data) % 12 == 0 else 16
        rows = ((at, *struct.unpack_from("<i", data, at), data[at + size - 2]) for at in range(0, len(data), size))
        return {address + at + offset for at, offset, flags in rows if flags & _BUGFLAG_WARNING}

    def jump_labels(self) -> Iterator[tuple[int, int]]:
        """Where static keys have a nop or a jump, and where the jump goes."""
        start, end = (self._symbol(f"__{each}___jump_table") for each in ("start", "stop"))
        data = self._read(start, end - start) if end else b""
        for at in range(0, len(data), 16):
            code, target = struct.unpack_from("<ii", data, at)
            yield start + at + code, start + at + 4 + target

    def _section(self, name: str) -> tuple[int, bytes]:
        """A section's address and content."""
        found = self._elf.get_section_by_name(name)
        return (0, b"") if found is None else (int(found["sh_addr"]), found.data())

    def _read(self, address: int, size: int) -> bytes:
        """Bytes as they are in the file, by virtual address."""
        for segment in self._elf.iter_segments("PT_LOAD"):
            offset = address - segment["p_vaddr"]
            if 0 <= offset <= segment["p_filesz"] - size:
                self._file.seek(segment["p_offset"] + offset)
                return self._file.read(size)
        raise InputError(f"{self.path}: nothing at {address:#x}", hint="give the vmlinux of a -dbg package")

    def _symbol(self, name: str) -> int:
        found = self._symbols.get_symbol_by_name(name)
        return int(found[0]["st_value"]) if found else 0


class _Unit:
    """A file of the source as the compiler saw it."""

    def __init__(self, dwarf: Any, unit: Any, name: str) -> None:
        self._dwarf, self._unit, self._name = dwarf, unit, name
        program = dwarf.line_program_for_CU(unit)
        self._first = 0 if program.header["version"] >= 5 else 1
        folders = [each if isinstance(each, bytes) else each.DW_LNCT_path for each in program["include_directory"]]
        self._files = [self._file_name(folders, each) for each in program["file_entry"]]
        self._lines = self._rows(program)
        self._ranges = dwarf.range_lists()

    def functions(self) -> list[CodeFunction]:
        """Those that are written in this file, and have code."""
        found = []
        for die in self._unit.get_top_DIE().iter_children():
            if die.tag == "DW_TAG_subprogram" and (
                "DW_AT_low_pc" in die.attributes or "DW_AT_ranges" in die.attributes
            ):
                scope = self._scope(die)
                if scope.file == self._name:
                    found.append(CodeFunction(scope.name, scope.file, scope.ranges, scope, self._lines))
        return found

    def _scope(self, die: Any) -> _Scope:
        origin = die
        while "DW_AT_abstract_origin" in origin.attributes:
            origin = origin.get_DIE_from_attribute("DW_AT_abstract_origin")
        declared = origin
        while "DW_AT_specification" in declared.attributes:
            declared = declared.get_DIE_from_attribute("DW_AT_specification")
        called = die.attributes.get("DW_AT_call_line")
        return _Scope(
            self._file(declared.attributes["DW_AT_decl_file"].value),
            _text(declared, "DW_AT_name"),
            int(declared.attributes["DW_AT_decl_line"].value),
            tuple(self._pieces(die)),
            0 if called is None else int(called.value),
            tuple(self._inner(die)),
        )

    def _inner(self, die: Any) -> Iterator[_Scope]:
        for each in die.iter_children():
            if each.tag == "DW_TAG_inlined_subroutine":
                yield self._scope(each)
            elif each.tag == "DW_TAG_lexical_block":
                yield from self._inner(each)

    def _pieces(self, die: Any) -> Iterator[Range]:
        low, high = die.attributes.get("DW_AT_low_pc"), die.attributes.get("DW_AT_high_pc")
        if high is not None:
            start = int(low.value)
            yield Range(start, int(high.value) + (0 if high.form == "DW_FORM_addr" else start))
            return
        if "DW_AT_ranges" not in die.attributes:
            return
        base = int(self._unit.get_top_DIE().attributes["DW_AT_low_pc"].value)
        for entry in self._ranges.get_range_list_at_offset(die.attributes["DW_AT_ranges"].value, cu=self._unit):
            if hasattr(entry, "base_address"):
                base = int(entry.base_address)
            else:
                start, end = int(entry.begin_offset), int(entry.end_offset)
                yield Range(start, end) if entry.is_absolute else Range(base + start, base + end)

    def _file(self, number: int) -> str:
        at = number - self._first
        return self._files[at] if 0 <= at < len(self._files) else ""

    def _file_name(self, folders: list[bytes], entry: Any) -> str:
        folder = folders[entry.dir_index - self._first] if entry.dir_index >= self._first else b""
        name = (folder + b"/" + entry.name if folder else entry.name).decode()
        # The folder that it was built in comes first: Debian's has none that a reader could know.
        return self._name if name.endswith(f"/{self._name}") or name == self._name else name

    def _rows(self, program: Any) -> tuple[list[int], list[tuple[str, int]]]:
        rows = dict[int, tuple[str, int]]()
        for each in program.get_entries():
            state = each.state
            if state is not None and not state.end_sequence:
                rows[int(state.address)] = (self._file(int(state.file)), int(state.line))
        order = sorted(rows)
        return order, [rows[each] for each in order]


def _text(die: Any, attribute: str) -> str:
    found = die.attributes.get(attribute)
    return found.value.decode() if found is not None else ""

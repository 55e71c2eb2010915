"""The modules of the kernel that a dump is of, and their symbols."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError
from warmboot.dump.kallsyms import Symbol
from warmboot.dump.spans import readable
from warmboot.memmap.ranges import Range

if TYPE_CHECKING:
    from warmboot.dump.kernel import Kernel, Record


__all__ = ["Module", "ModuleSymbols", "Modules", "read_modules"]

_MOST = 1 << 12  # modules
_MOST_SYMBOLS = 1 << 18  # of a module
_STATES = ("Live", "Loading", "Unloading", "Unformed")  # enum module_state; the first three as /proc/modules tells them
# kernel/panic.c, taint_flags: the letter of each bit.
_TAINTS = "PFSRMBUDAWCIOELKXTNJ"
_ELF64_SYM = 24  # bytes


@dataclass(frozen=True, slots=True)
class Module:
    """A module: `address` (virtual) and `size` (bytes) as /proc/modules tells them; `parts` is the memory it has."""

    name: str
    state: str
    address: int
    size: int
    taints: str
    parts: tuple[Range, ...]
    record: int  # the address of struct module


@dataclass(frozen=True, slots=True)
class Modules:
    """The modules, the one loaded last first, and what could not be read."""

    modules: tuple[Module, ...]
    problems: tuple[str, ...]


def read_modules(kernel: Kernel) -> Modules:
    """Every module that is at least formed. Raises DumpError where there is no list to begin at."""
    struct = kernel.btf.struct("module")
    list_at = struct.offset("list")
    found, problems = list[Module](), list[str]()
    try:
        for entry in kernel.walk(kernel.symbols.needed("modules")):
            if len(found) + len(problems) >= _MOST:
                problems.append(f"more than {_MOST} modules: the others are left out")
                break
            try:
                found.append(_module(kernel, kernel.record(struct, entry - list_at)))
            except DumpError as error:
                problems.append(f"module at {entry - list_at:#x}: {error}")
    except DumpError as error:
        problems.append(str(error))
    return Modules(tuple(each for each in found if each.state != "Unformed"), tuple(problems))


def _module(kernel: Kernel, record: Record) -> Module:
    parts = [each for each in _parts(kernel, record) if each[1]]
    state = record.number("state")
    taints = record.number("taints")
    return Module(
        name=record.text("name"),
        state=_STATES[state] if state < len(_STATES) else f"state {state}",
        address=parts[0][0] if parts else 0,
        size=sum(size for _, size in parts),
        taints="".join(letter for bit, letter in enumerate(_TAINTS) if taints >> bit & 1),
        parts=tuple(Range(start, start + size) for start, size in parts),
        record=record.address,
    )


def _parts(kernel: Kernel, record: Record) -> list[tuple[int, int]]:
    """Address and size of each piece of a module's memory, its code first."""
    if "mem" in record:  # 6.4: an array by use
        memory = kernel.btf.struct("module_memory")
        array = record.struct.member("mem")
        at = [record.at("mem") + n * memory.size for n in range(array.type.count)]
        found = [kernel.record(memory, each) for each in at]
        return [(each.number("base"), each.number("size")) for each in found]
    return [  # 4.5
        (record.number(f"{layout}.base"), record.number(f"{layout}.size")) for layout in ("core_layout", "init_layout")
    ]


class ModuleSymbols:
    """The symbols of modules by address (kernel/module/kallsyms.c). A module's are read when one is asked for."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._tables: dict[int, list[tuple[int, str]]] = {}

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        """The modules; none where they cannot be read."""
        try:
            return read_modules(self._kernel).modules
        except DumpError:
            return ()

    def module(self, address: int) -> Module | None:
        """The module that has that address in its memory."""
        return next((m for m in self.modules if any(part.start <= address < part.end for part in m.parts)), None)

    def lookup(self, address: int) -> Symbol | None:
        """The symbol that the address lies in; None where it lies in no module."""
        module = self.module(address)
        if module is None:
            return None
        table = self.table(module)
        number = bisect_right(table, address, key=lambda row: row[0]) - 1
        if number < 0:
            return Symbol("", address - module.address, module.name)
        while number and table[number - 1][0] == table[number][0]:  # of aliases the first, as the kernel does
            number -= 1
        return Symbol(table[number][1], address - table[number][0], module.name)

    def table(self, module: Module) -> list[tuple[int, str]]:
        """Address and name of each symbol of a module, lowest first; empty where they cannot be read."""
        if module.record not in self._tables:
            try:
                self._tables[module.record] = self._read(module)
            except DumpError:
                self._tables[module.record] = []
        return self._tables[module.record]

    def _read(self, module: Module) -> list[tuple[int, str]]:
        kernel = self._kernel
        record = kernel.record("module", module.record)
        table = kernel.record("mod_kallsyms", record.number("kallsyms"))
        count = min(table.number("num_symtab"), _MOST_SYMBOLS)
        symtab = kernel.memory.virtual(table.number("symtab"), count * _ELF64_SYM)
        rows = [
            (int.from_bytes(symtab[at + 8 : at + 16], kernel.order), int.from_bytes(symtab[at : at + 4], kernel.order))
            for at in range(_ELF64_SYM, len(symtab), _ELF64_SYM)  # the first is no symbol
            if symtab[at + 6 : at + 8] != b"\0\0"  # SHN_UNDEF
        ]
        if not rows:
            return []
        strings = readable(kernel.memory, table.number("strtab"), min(max(name for _, name in rows) + 512, 16 << 20))
        named = [(value, _string(strings, name)) for value, name in rows]
        return sorted(((value, name) for value, name in named if name), key=lambda row: row[0])


def _string(strings: bytes, at: int) -> str:
    return strings[at : at + 512].partition(b"\0")[0].decode("utf-8", "replace")

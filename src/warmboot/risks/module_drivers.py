"""The PCI drivers in a module's file (.ko), and the function by which each shuts its devices down.

A module is an ELF file that is not linked: each struct pci_driver is an object whose pointers are relocations. Where in
it the members lie is told by the types of the kernel that the module is for (BTF).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError

if TYPE_CHECKING:
    from warmboot.dump.btf import Btf

__all__ = ["ModuleDriver", "depends_on", "module_drivers", "sets_bus_master"]

_REGISTERS, _SETS_MASTER = b"__pci_register_driver", b"\0pci_set_master\0"
_DEPENDS = b"\0depends="
_SECTION = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr: name, type, flags, addr, offset, size, link, info, align, entsize
_SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym: name, info, other, section, value, size
_RELOCATION = struct.Struct("<QQq")  # Elf64_Rela: offset, symbol and type, addend
_SYMTAB, _RELA, _OBJECT, _SECTION_SYMBOL = 2, 4, 1, 3
_EXECUTED = 4  # SHF_EXECINSTR
_LONGEST = 128  # bytes of a name


@dataclass(frozen=True, slots=True)
class ModuleDriver:
    """A driver by the name that /sys/bus/pci/drivers has; `shutdown` is a function's name, None where it has none."""

    name: str
    shutdown: str | None


def module_drivers(module: bytes, btf: Btf) -> tuple[ModuleDriver, ...]:
    """Those of an unpacked module, in the order of its symbols. Raises DumpError for a file that is no module."""
    if _REGISTERS not in module:
        return ()
    try:
        return tuple(_Module(module).drivers(btf))
    except (struct.error, IndexError, OverflowError) as error:
        raise DumpError(f"a module's file is damaged: {error}", hint="give a .ko file, unpacked") from None


def sets_bus_master(module: bytes) -> bool:
    """Whether it calls pci_set_master itself: without that no PCI device does DMA."""
    return _SETS_MASTER in module


def depends_on(module: bytes) -> tuple[str, ...]:
    """The modules that it calls functions of, as its .modinfo tells."""
    _, _, after = module.partition(_DEPENDS)
    names = after[: 64 * _LONGEST].partition(b"\0")[0].decode("ascii", "replace").split(",")
    return tuple(each.replace("-", "_") for each in names if each)


class _Module:
    def __init__(self, data: bytes) -> None:
        if data[:6] != b"\x7fELF\x02\x01":
            raise DumpError("a module is a 64-bit ELF file, and this is none", hint="give a .ko file, unpacked")
        [table] = struct.unpack_from("<Q", data, 0x28)
        size, count = struct.unpack_from("<HH", data, 0x3A)
        self._data = data
        self._sections = [_SECTION.unpack_from(data, table + size * each) for each in range(count)]
        tables = [each for each in self._sections if each[1] == _SYMTAB]
        if len(tables) != 1:
            raise DumpError("a module's file without symbols", hint="give a .ko file that is not stripped")
        self._strings = self._sections[tables[0][6]][4]
        self._symbols = list(_SYMBOL.iter_unpack(self._inside(tables[0])))

    def drivers(self, btf: Btf) -> Iterator[ModuleDriver]:
        kind = btf.struct("pci_driver")
        name, probe, shutdown = (kind.offset(each) for each in ("name", "probe", "shutdown"))
        relocations: dict[int, Mapping[int, tuple[int, int]]] = {}
        for _, info, _, section, value, size in self._symbols:
            if info & 0xF != _OBJECT or size != kind.size or not 0 < section < len(self._sections):
                continue
            if section not in relocations:
                relocations[section] = self._relocations(section)
            pointers = relocations[section]
            method = pointers.get(value + shutdown)
            if value + name not in pointers or not self._is_code(pointers.get(value + probe)):
                continue  # an object that is as large by chance, such as a table of texts
            if method is None or self._is_code(method):
                named = self._string(*pointers[value + name])
                yield ModuleDriver(named, None if method is None else self._function(*method))

    def _relocations(self, section: int) -> dict[int, tuple[int, int]]:
        """Of a section: by the offset of each pointer in it, the symbol and what is added."""
        return {
            offset: (info >> 32, addend)
            for each in self._sections
            if each[1] == _RELA and each[7] == section
            for offset, info, addend in _RELOCATION.iter_unpack(self._inside(each))
        }

    def _is_code(self, pointer: tuple[int, int] | None) -> bool:
        """Whether it is a function: in a section that is executed, or in another module."""
        if pointer is None:
            return False
        section = self._symbols[pointer[0]][3]
        return section == 0 or (section < len(self._sections) and bool(self._sections[section][2] & _EXECUTED))

    def _string(self, symbol: int, addend: int) -> str:
        _, _, _, section, value, _ = self._symbols[symbol]
        return self._text(self._sections[section][4] + value + addend)

    def _function(self, symbol: int, addend: int) -> str:
        """Its name; where the relocation is relative to a section, that of the function that lies there."""
        name, info, _, section, value, _ = self._symbols[symbol]
        if info & 0xF == _SECTION_SYMBOL:
            where = section, value + addend
            name = next((each[0] for each in self._symbols if each[3:5] == where and each[0]), 0)
        return self._text(self._strings + name) or "?"

    def _inside(self, section: tuple[int, ...]) -> bytes:
        return self._data[section[4] : section[4] + section[5]]

    def _text(self, at: int) -> str:
        return self._data[at : at + _LONGEST].partition(b"\0")[0].decode("utf-8", "replace")

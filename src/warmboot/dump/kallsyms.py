"""kallsyms: the kernel's own table of its symbols, read from a dump.

kernel/kallsyms.c and scripts/kallsyms.c. Names are packed: a length (7 bits, 14 where the first byte's top bit is set,
since 6.1), then bytes that each stand for a token. The first character of a name is its type, as `nm` tells it. Symbols
are sorted by address.

Where the tables lie is noted in VMCOREINFO since 6.0; for what is older `kallsyms_search` finds them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError
from warmboot.dump.kallsyms_search import Tables, noted, searched
from warmboot.dump.spans import readable
from warmboot.visible import visible

if TYPE_CHECKING:
    from warmboot.dump.interface import Memory

__all__ = ["Kallsyms", "Symbol", "read_kallsyms"]

_MOST_SYMBOLS = 1 << 22
_MOST_NAMES = 64 << 20  # bytes of all names, packed or not
_LONGEST = 512  # bytes of a name with its type, KSYM_NAME_LEN of 6.1 and later; of a token as well
_U64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Symbol:
    """What an address is: `offset` bytes into the symbol `name`; `module` is empty for the kernel itself."""

    name: str
    offset: int
    module: str = ""

    def __str__(self) -> str:
        where = f"{self.name}+{self.offset:#x}"
        return f"{where} [{self.module}]" if self.module else where


class Kallsyms:
    """The symbols of the kernel itself. Addresses are virtual."""

    def __init__(self, packed: bytes, count: int, tokens: Sequence[bytes], address_of: Callable[[int], int]) -> None:
        """`packed` are the names of `count` symbols; `address_of` tells the address of the symbol of that number."""
        self._packed, self._count, self._tokens, self._address_of = packed, count, tokens, address_of

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _names(self) -> bytes:
        """A zero byte, then every name with its type before it and a zero byte behind."""
        packed, token, parts = self._packed, self._tokens.__getitem__, list[bytes]()
        at, total, join = 0, 0, b"".join
        try:
            for _ in range(self._count):
                size = packed[at]
                at += 1
                if size & 0x80:
                    size = size & 0x7F | packed[at] << 7
                    at += 1
                parts.append(name := join(map(token, packed[at : at + size])))
                at, total = at + size, total + len(name)
                if total > _MOST_NAMES or len(name) > _LONGEST:
                    raise DumpError(
                        f"kallsyms: symbol {len(parts)} of {self._count} is {len(name)} bytes long, the names {total}",
                        hint="the table is damaged",
                    )
        except IndexError:
            at = len(packed) + 1
        if at > len(packed):
            raise DumpError(
                f"kallsyms: the names end at symbol {len(parts)} of {self._count}",
                hint="the table is damaged, or pages of it are missing in the dump",
            )
        return b"\0" + b"\0".join(parts) + b"\0"

    @cached_property
    def _list(self) -> list[bytes]:
        return self._names.split(b"\0")[1:-1]

    def address(self, name: str) -> int | None:
        """The address of the first symbol of that name, of any type; None where there is none."""
        return next(self._all_of(name.encode()), None)

    def addresses(self, name: str) -> list[int]:
        """The addresses of all symbols of that name: static functions may share one."""
        return list(self._all_of(name.encode()))

    def needed(self, name: str) -> int:
        """The address of the symbol. Raises DumpError where there is none."""
        found = self.address(name)
        if found is None:
            raise DumpError(
                f"kallsyms: no symbol {visible(name, most=80)} among {self._count}",
                hint="this kernel was built without it, or without CONFIG_KALLSYMS_ALL",
            )
        return found

    def _all_of(self, name: bytes) -> Iterator[int]:
        names, at = self._names, 0
        number, counted = -1, 0
        wanted = name + b"\0"
        while (at := names.find(wanted, at)) >= 0:
            if at >= 2 and names[at - 2] == 0:
                number += names.count(b"\0", counted, at)
                counted = at
                yield self._address_of(number)
            at += 1

    def lookup(self, address: int) -> Symbol | None:
        """The symbol that the address lies in; None where it is below the first."""
        number = bisect_right(range(self._count), address, key=self._address_of) - 1
        if number < 0:
            return None
        start = self._address_of(number)
        while number > 0 and self._address_of(number - 1) == start:  # aliases: the kernel itself tells the first
            number -= 1
        return Symbol(self._list[number][1:].decode("utf-8", "replace"), address - start)

    def next_after(self, address: int) -> int | None:
        """The address of the first symbol beyond `address`: where the one that holds it ends."""
        number = bisect_right(range(self._count), address, key=self._address_of)
        return self._address_of(number) if number < self._count else None

    def __iter__(self) -> Iterator[tuple[str, str, int]]:
        """Name, type and address of every symbol, in the order of the table."""
        for number, name in enumerate(self._list):
            yield name[1:].decode("utf-8", "replace"), chr(name[0]) if name else "?", self._address_of(number)


def read_kallsyms(memory: Memory) -> Kallsyms:
    """The symbols of the kernel that the dump is of. Raises DumpError where the table is not found or is damaged."""
    tables = noted(memory) or searched(memory)
    count = int.from_bytes(memory.virtual(tables.num_syms, 4), tables.order)
    if not 0 < count <= _MOST_SYMBOLS:
        raise DumpError(
            f"kallsyms: {count} symbols by kallsyms_num_syms at {tables.num_syms:#x}, 1 to {_MOST_SYMBOLS} expected",
            hint="VMCOREINFO is of another kernel, or the dump is damaged there",
        )
    return Kallsyms(_names(memory, tables, count), count, _tokens(memory, tables), _addresses(memory, tables, count))


def _names(memory: Memory, tables: Tables, count: int) -> bytes:
    """The packed names and what follows them: their length is noted nowhere."""
    most = tables.token_table - tables.names if tables.token_table > tables.names else 48 * count
    return readable(memory, tables.names, min(most, 512 * count, _MOST_NAMES))


def _tokens(memory: Memory, tables: Tables) -> list[bytes]:
    index = array("H", memory.virtual(tables.token_index, 512))
    if tables.swapped:
        index.byteswap()
    table = readable(memory, tables.token_table, max(index) + 512)
    if max(index) >= len(table):
        raise DumpError(
            f"kallsyms: a token at byte {max(index):#x} of kallsyms_token_table at {tables.token_table:#x}, "
            f"of which {len(table):#x} bytes are in the dump",
            hint="the table is damaged, or pages of it are missing in the dump",
        )
    return [table[start : start + _LONGEST].partition(b"\0")[0] for start in index]


def _addresses(memory: Memory, tables: Tables, count: int) -> Callable[[int], int]:
    if tables.addresses:
        absolute = array("Q", memory.virtual(tables.addresses, 8 * count))
        if tables.swapped:
            absolute.byteswap()
        return absolute.__getitem__
    start = tables.offsets
    offsets = array("i", memory.virtual(start, 4 * count))
    if tables.swapped:
        offsets.byteswap()
    if not tables.relative_base:  # 7.2, not 6.12: each is relative to itself
        return lambda number: start + 4 * number + offsets[number] & _U64
    base = int.from_bytes(memory.virtual(tables.relative_base, 8), tables.order)
    if offsets[-1] < 0:  # CONFIG_KALLSYMS_ABSOLUTE_PERCPU, until 6.15: what is not negative is an absolute value
        return lambda number: each if (each := offsets[number]) >= 0 else base - 1 - each & _U64
    return lambda number: base + (offsets[number] & 0xFFFFFFFF) & _U64

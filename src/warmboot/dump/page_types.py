"""What VMCOREINFO does not say of pages, told by the types that lie in the dump (BTF), in VMCOREINFO's own words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from warmboot.dump import arch
from warmboot.dump.interface import DumpError
from warmboot.dump.kallsyms import read_kallsyms
from warmboot.dump.kernel_btf import read_btf
from warmboot.dump.vmcoreinfo import Vmcoreinfo

if TYPE_CHECKING:
    from warmboot.dump.btf import Btf
    from warmboot.dump.interface import Memory
    from warmboot.dump.kallsyms import Kallsyms

__all__ = ["completed"]

_MEMBERS = ("flags", "mapping", "_mapcount", "private", "compound_head", "compound_info", "compound_order")
_FLAGS = ("lru", "private", "swapcache", "swapbacked", "slab", "hwpoison", "hugetlb")
_TYPES = ("buddy", "slab", "hugetlb", "offline", "unaccepted")


def completed(memory: Memory) -> Vmcoreinfo:
    """VMCOREINFO with what the types and symbols add; as it is where the dump has none of these."""
    try:
        symbols = read_kallsyms(memory)
        types = read_btf(memory, symbols)
        found = dict(_told(memory, symbols, types))
    except DumpError:
        return memory.vmcoreinfo
    return Vmcoreinfo({**found, **memory.vmcoreinfo.lines})


def _told(memory: Memory, symbols: Kallsyms, types: Btf) -> Iterator[tuple[str, str]]:
    page = types.struct("page")
    yield "SIZE(page)", str(page.size)
    for member in _MEMBERS:
        if member in page.members:
            yield f"OFFSET(page.{member})", str(page.offset(member))
    flags = types.enum("pageflags")
    for name in _FLAGS:
        if f"PG_{name}" in flags:
            yield f"NUMBER(PG_{name})", str(flags[f"PG_{name}"])
    if "PG_head" in flags:
        yield "NUMBER(PG_head_mask)", str(1 << flags["PG_head"])
    for name in _TYPES:  # 6.12: numbers in the top byte; VMCOREINFO tells them as signed
        number = types.enumerator(f"PGTY_{name}")
        if number is not None:
            yield f"NUMBER(PAGE_{name.upper()}_MAPCOUNT_VALUE)", str((number << 24) - (1 << 32))
    yield "LENGTH(zone.free_area)", str(types.struct("zone").member("free_area").type.count)
    yield from _sections(memory, symbols, types)


def _sections(memory: Memory, symbols: Kallsyms, types: Btf) -> Iterator[tuple[str, str]]:
    size = types.struct("mem_section").size
    pointer = symbols.address("mem_section")
    if pointer is not None:
        root = int.from_bytes(memory.virtual(pointer, 8), "little")
        yield "SYMBOL(mem_section)", f"{root:x}"
        yield "LENGTH(mem_section)", str(1 << 17)  # as many roots as five levels of page tables can have
    yield "SIZE(mem_section)", str(size)
    yield "NUMBER(SECTION_SIZE_BITS)", str(arch.of(memory.machine).section_size_bits)
    yield "PAGESIZE", "4096"

"""kallsyms: beside VMCOREINFO of the same kernels, of which 5.10 does not say where its tables are; damaged tables."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.vmcores import said, vmcore
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.interface import DumpError
from warmboot.dump.kallsyms import Kallsyms, read_kallsyms
from warmboot.dump.vmcoreinfo import Vmcoreinfo
from warmboot.memmap.range_set import RangeSet

# SYMBOL() of what is a macro, or a pointer's value.
_EXPRESSIONS = {"mem_section", "node_online_map", "swapper_pg_dir", "vmemmap"}


@pytest.mark.needs_qemu
@pytest.mark.parametrize("series", ["5.10", "6.1", "6.12", "7.2"])
def test_the_kernels_own_symbols(series: str) -> None:
    memory = ElfCore(vmcore(series))
    symbols = read_kallsyms(memory)
    noticed = 0
    for line, value in memory.vmcoreinfo.lines.items():
        name = re.fullmatch(r"SYMBOL\((\w+)\)", line)
        address = int(value, 16) if name else 0
        if name is None or name[1] in _EXPRESSIONS or name[1].startswith("kallsyms_"):
            continue
        assert address in symbols.addresses(name[1]), line
        found = symbols.lookup(address)
        assert found is not None
        assert found.offset == 0
        assert address in symbols.addresses(found.name)
        noticed += 1
    assert noticed > 6
    addresses = [address for _, _, address in symbols]
    assert len(addresses) == len(symbols) > 80_000
    image = [each for each in addresses if each >= 1 << 63]
    assert image == sorted(image)
    # Byte for byte what root saw in /proc/kallsyms before the crash.
    lines = "".join(f"{address:016x} {kind} {name}\n" for name, kind, address in symbols)
    assert f"kallsyms {hashlib.sha256(lines.encode()).hexdigest()}" in said(series)
    assert symbols.address("no such symbol") is None
    with pytest.raises(DumpError, match="no symbol no_such"):
        symbols.needed("no_such")


@dataclass
class Flat:
    """Memory that holds some bytes at a virtual address, and nothing else."""

    base: int
    data: bytes
    vmcoreinfo: Vmcoreinfo
    machine: str = "x86_64"

    @property
    def ranges(self) -> RangeSet:
        return RangeSet()

    def physical(self, address: int, size: int) -> bytes:
        raise DumpError(f"nothing at {address:#x}, {size}", hint="none")

    def virtual(self, address: int, size: int) -> bytes:
        at = address - self.base
        if at < 0 or at + size > len(self.data):
            raise DumpError(f"nothing at {address:#x}, {size}", hint="none")
        return self.data[at : at + size]


BASE = (1 << 64) - (1 << 16)  # the search ends where addresses do
NAMES = [b"T_stext", b"tlong_function_name" + b"x" * 180, b"Dinit_task", b"Tlong_long"]


def table(*, noted_in: bool = True, count: int = 600, layout: str = "absolute per-CPU") -> Flat:
    """A kernel's tables as 6.1 lays them down; the token of each character is itself, 0x80 is `long_`.

    `layout` is how addresses are told: as 5.10 does, 6.15, 7.2, and without CONFIG_KALLSYMS_BASE_RELATIVE.
    """
    names = [NAMES[n] if n < len(NAMES) else b"tf%d" % n for n in range(count)]
    packed, marks = bytearray(), list[int]()
    for number, name in enumerate(names):
        if number % 256 == 0:
            marks.append(len(packed))
        coded = name.replace(b"long_", b"\x80")
        packed += (
            bytes([len(coded)]) if len(coded) < 128 else bytes([len(coded) & 127 | 128, len(coded) >> 7])
        ) + coded
    tokens = [bytes([n]) if 32 <= n < 127 else b"long_" if n == 0x80 else b"" for n in range(256)]
    places, parts = dict[str, int](), bytearray(b"image of a kernel".ljust(4096, b"\0"))

    def put(name: str, data: bytes) -> None:
        places[name] = BASE + len(parts)
        parts.extend(data.ljust(-(-len(data) // 8) * 8, b"\0"))

    start = BASE + len(parts)
    match layout:
        case "absolute per-CPU":
            put("offsets", b"".join((-1 - 16 * n).to_bytes(4, "little", signed=True) for n in range(count)))
            put("relative_base", BASE.to_bytes(8, "little"))
        case "base":
            put("offsets", b"".join((16 * n).to_bytes(4, "little") for n in range(count)))
            put("relative_base", BASE.to_bytes(8, "little"))
        case "itself":
            places_of = [BASE + 16 * n - start - 4 * n for n in range(count)]
            put("offsets", b"".join(each.to_bytes(4, "little", signed=True) for each in places_of))
        case "addresses":
            put("addresses", b"".join((BASE + 16 * n).to_bytes(8, "little") for n in range(count)))
    put("num_syms", count.to_bytes(4, "little"))
    put("names", bytes(packed))
    put("markers", b"".join(each.to_bytes(4, "little") for each in marks))
    put("token_table", b"".join(each + b"\0" for each in tokens))
    put("token_index", b"".join(sum(len(t) + 1 for t in tokens[:n]).to_bytes(2, "little") for n in range(256)))
    lines = {f"SYMBOL(kallsyms_{name})": f"{at:x}" for name, at in places.items() if name != "markers"}
    return Flat(BASE, bytes(parts), Vmcoreinfo({"SYMBOL(_stext)": f"{BASE:x}", **(lines if noted_in else {})}))


@pytest.mark.parametrize("layout", ["absolute per-CPU", "base", "itself", "addresses"])
def test_long_names_and_lookup(layout: str) -> None:
    symbols = read_kallsyms(table(layout=layout))
    assert symbols.address("long_function_name" + "x" * 180) == BASE + 16
    assert symbols.address("long_long") == BASE + 48
    assert symbols.address("long_") is None
    assert str(symbols.lookup(BASE + 34)) == "init_task+0x2"
    assert symbols.lookup(BASE - 1) is None
    assert symbols.next_after(BASE + 34) == BASE + 48
    assert symbols.next_after(BASE + 16 * 600) is None


def test_nothing_to_find() -> None:
    memory = table(noted_in=False)
    memory.data = memory.data[:4096]
    with pytest.raises(DumpError, match="no tables of symbols"):
        read_kallsyms(memory)
    memory.vmcoreinfo = Vmcoreinfo({})
    with pytest.raises(DumpError, match="_stext"):
        read_kallsyms(memory)


def everything(symbols: Kallsyms) -> None:
    symbols.address("init_task")
    symbols.addresses("f99")
    symbols.lookup(BASE + 40)
    list(symbols)


@given(st.data(), st.booleans())
def test_damaged_tables_are_told(data: st.DataObject, noted_in: bool) -> None:
    memory = table(noted_in=noted_in, count=300)
    damaged = bytearray(memory.data)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(4096, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    memory.data = bytes(damaged[: data.draw(st.integers(4096, len(damaged)))])
    with suppress(DumpError):
        everything(read_kallsyms(memory))

"""Page tables that loop and records of the log that cannot be: what can be read is read, and every look ends."""

from __future__ import annotations

import random
from contextlib import suppress
from functools import cache

import pytest

from support.patched_core import PatchedCore
from support.vmcores import vmcore
from warmboot.dump import arch
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.interface import DumpError
from warmboot.dump.kallsyms import read_kallsyms
from warmboot.dump.log import log_records, read_log
from warmboot.dump.printk_ringbuffer import LogRecord

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]

ADDRESS = 0x000FFFFFFFFFF000
KERNEL_MAP = 0xFFFFFFFF80000000


@cache
def whole() -> ElfCore:
    return ElfCore(vmcore("6.12"))


@cache
def whole_log() -> list[LogRecord]:
    return list(log_records(whole()))


def tables(core: ElfCore, address: int) -> list[int]:
    """The physical addresses of the entries that lead to a virtual address, the highest level first."""
    info = core.vmcoreinfo
    table = (info.symbol("swapper_pg_dir") or 0) - KERNEL_MAP + (info.number("phys_base") or 0)
    found = []
    for shift in ((48,) if info.number("pgtable_l5_enabled") else ()) + (39, 30, 21, 12):
        found.append(table + (address >> shift & 511) * 8)
        entry = int.from_bytes(core.physical(found[-1], 8), "little")
        if shift == 12 or entry & 0x80:
            break
        table = entry & ADDRESS
    return found


@pytest.mark.parametrize("symbol", ["prb", "init_uts_ns", "kallsyms_names"])
def test_page_tables_that_loop(symbol: str) -> None:
    core = whole()
    address = core.vmcoreinfo.symbol(symbol)
    assert address is not None
    entries = tables(core, address)
    dice = random.Random(symbol)
    values = [entry & ADDRESS | 0x63 for entry in entries]
    values += [entry & ADDRESS | 0xE3 for entry in entries]
    values += [0, 1, ADDRESS | 1, (1 << 64) - 1, *(dice.getrandbits(64) | 1 for _ in range(20))]
    for entry in entries:
        for value in values:
            broken = PatchedCore(core, {entry: value.to_bytes(8, "little")})
            with suppress(DumpError):
                assert len(broken.virtual(address, 8192)) == 8192
    for value in (values[0], values[len(entries) - 1]):  # the highest table in itself, and the lowest one there
        broken = PatchedCore(core, {entries[0]: value.to_bytes(8, "little")})
        records, problem = read_log(broken)
        assert problem is not None
        assert records == []
        with pytest.raises(DumpError):
            read_kallsyms(broken)


def physical(core: ElfCore, address: int) -> int:
    found = arch.of(core.machine).translate(core.physical, core.vmcoreinfo, address)
    assert found is not None
    return found[0]


class Ring:
    """Where the log's ring has what, physically."""

    def __init__(self, core: ElfCore) -> None:
        info = core.vmcoreinfo
        self.core = core
        prb = info.symbol("prb")
        assert prb is not None
        self.at = int.from_bytes(core.virtual(prb, 8), "little")
        self.descs_at = self.at + self.offset("printk_ringbuffer.desc_ring")
        self.texts_at = self.at + self.offset("printk_ringbuffer.text_data_ring")
        self.descs = self.word(self.descs_at + self.offset("prb_desc_ring.descs"))
        self.infos = self.word(self.descs_at + self.offset("prb_desc_ring.infos"))
        self.count = 1 << int.from_bytes(
            core.virtual(self.descs_at + self.offset("prb_desc_ring.count_bits"), 4), "little"
        )

    def offset(self, name: str) -> int:
        found = self.core.vmcoreinfo.offset(name)
        assert found is not None
        return found

    def size(self, name: str) -> int:
        found = self.core.vmcoreinfo.size(name)
        assert found is not None
        return found

    def word(self, address: int) -> int:
        return int.from_bytes(self.core.virtual(address, 8), "little")

    def with_changed(self, address: int, data: bytes) -> PatchedCore:
        return PatchedCore(self.core, {physical(self.core, address): data})


@pytest.mark.parametrize("value", [0, 1, 7, (1 << 16) - 1, 1 << 20, 1 << 62, (1 << 64) - 1])
def test_a_record_that_runs_past_the_end(value: int) -> None:
    """Any other record stays what it is."""
    ring, records = Ring(whole()), whole_log()
    number = len(records) // 2
    tail = ring.word(ring.descs_at + ring.offset("prb_desc_ring.tail_id")) % (1 << 62)
    index = (tail + number) % ring.count
    block = ring.descs + index * ring.size("prb_desc") + ring.offset("prb_desc.text_blk_lpos")
    info = ring.infos + index * ring.size("printk_info")
    state = ring.descs + index * ring.size("prb_desc") + ring.offset("prb_desc.state_var")
    packed = value.to_bytes(8, "little")
    places = [block + ring.offset("prb_data_blk_lpos.begin"), block + ring.offset("prb_data_blk_lpos.next"), state]
    patches = [(each, packed) for each in places]
    patches.append((info + ring.offset("printk_info.text_len"), packed[:2]))
    for address, data in patches:
        found, _ = read_log(ring.with_changed(address, data))
        times = {each.time for each in found}
        assert len(found) in (len(records), len(records) - 1)
        assert len({each.time for each in records} - times) <= 1
        assert sum(1 for each in records if each in found) >= len(records) - 1


@pytest.mark.parametrize("member", ["tail_id", "head_id", "count_bits", "descs", "infos"])
def test_a_ring_that_cannot_be(member: str) -> None:
    ring, records = Ring(whole()), whole_log()
    at = ring.descs_at + ring.offset(f"prb_desc_ring.{member}")
    dice = random.Random(member)
    for value in (0, 1, 40, 1 << 31, 1 << 61, (1 << 64) - 1, *(dice.getrandbits(62) for _ in range(10))):
        found, problem = read_log(
            ring.with_changed(at, value.to_bytes(8, "little")[: 4 if member == "count_bits" else 8])
        )
        assert problem is not None or len(found) <= len(records)
    at = ring.texts_at + ring.offset("prb_data_ring.size_bits")
    for value in (0, 1, 5, 25, 26, 64, (1 << 32) - 1):
        read_log(ring.with_changed(at, value.to_bytes(4, "little")))

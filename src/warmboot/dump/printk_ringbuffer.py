"""The kernel's log as printk keeps it since 5.10: a ring of descriptors and a ring of text (printk_ringbuffer.c)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from warmboot.dump.interface import DumpError, Memory
from warmboot.dump.ramoops import RamoopsZone
from warmboot.dump.spans import with_gaps

__all__ = ["LogAnswer", "LogLine", "LogRecord", "log_records"]

_COMMITTED, _FINALIZED = 1, 2  # states of a descriptor whose record is whole
_ID_MASK = (1 << 62) - 1  # the state is in the two bits above
_MOST_BYTES = 64 << 20  # of each part, of text or descriptors
_MOST_BITS = 25  # of a ring: LOG_BUF_SHIFT is at most that
_PART = "the records that can be read are all there is"
_HINT = "give a dump of Linux 5.10 or later with CONFIG_PRINTK"


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A record. `time` is in nanoseconds since the boot, None in a log of text, whose lines keep their ends; `caller`
    is a task, or with bit 31 a processor."""

    time: int | None
    caller: int | None
    text: bytes


@dataclass(frozen=True, slots=True)
class LogLine:
    """A record of the log as text; `time` and `caller` are as in `LogRecord`."""

    time: int | None
    caller: int | None
    text: str


@dataclass(frozen=True, slots=True)
class LogAnswer:
    """What `warmboot dump dmesg` says: the kernel's release, and its log, oldest first; what cannot be read of it.

    `vmcoreinfo_at` is the physical address at which a search has found VMCOREINFO, null where the headers have it.
    `zones` are what ramoops kept, with --ramoops or where there is nothing else.
    """

    release: str
    log: tuple[LogLine, ...]
    problem: str | None = None
    vmcoreinfo_at: int | None = None
    zones: tuple[RamoopsZone, ...] = ()


def log_records(memory: Memory) -> Iterator[LogRecord]:
    """The records, oldest first; those that are being written are left out.

    Raises DumpError; where a part alone is damaged or missing, after the records that can be read.
    """
    ring = _Ring(memory)
    numbers = ring.numbers()
    for number in numbers:
        record = ring.record(number)
        if record is not None:
            yield record
    if ring.missing:
        raise DumpError(f"the log: not all is in the dump: {', '.join(ring.missing)}", hint=_PART)
    if ring.is_damaged:
        raise DumpError(
            f"the log: its ends {ring.tail:#x} and {ring.head:#x} cannot be; its records were searched for", hint=_PART
        )


class _Ring:
    def __init__(self, memory: Memory) -> None:
        self._info = memory.vmcoreinfo
        symbol = self._info.symbol("prb")
        if symbol is None:
            raise DumpError("VMCOREINFO has no prb: where the log is is not known", hint=_HINT)
        at = int.from_bytes(memory.virtual(symbol, 8), "little")
        ring = memory.virtual(at, self._size("printk_ringbuffer"))
        descs = ring[self._offset("printk_ringbuffer.desc_ring") :]
        texts = ring[self._offset("printk_ringbuffer.text_data_ring") :]
        self.count = 1 << _bits(descs, self._offset("prb_desc_ring.count_bits"))
        self._text_size = 1 << _bits(texts, self._offset("prb_data_ring.size_bits"))
        self.tail = _word(descs, self._offset("prb_desc_ring.tail_id")) & _ID_MASK
        self.head = _word(descs, self._offset("prb_desc_ring.head_id")) & _ID_MASK
        self._desc_size, self._info_size = self._size("prb_desc"), self._size("printk_info")
        self.missing: list[str] = []
        self._descs, _ = self._part(memory, descs, "prb_desc_ring.descs", self.count * self._desc_size)
        self._infos, _ = self._part(memory, descs, "prb_desc_ring.infos", self.count * self._info_size)
        self._texts, self._no_text = self._part(memory, texts, "prb_data_ring.data", self._text_size)
        self.is_damaged: bool = (self.head - self.tail & _ID_MASK) >= self.count
        block = self._offset("prb_desc.text_blk_lpos")
        self._begin = block + self._offset("prb_data_blk_lpos.begin")
        self._next = block + self._offset("prb_data_blk_lpos.next")
        self._caller = self._info.offset("printk_info.caller_id")

    def numbers(self) -> Iterable[int]:
        """The numbers of the records, oldest first; where the ends are damaged those that the descriptors tell."""
        if not self.is_damaged:
            return (self.tail + each & _ID_MASK for each in range((self.head - self.tail & _ID_MASK) + 1))
        at, size = self._offset("prb_desc.state_var"), self._desc_size
        states = (_word(self._descs, index * size + at) & _ID_MASK for index in range(self.count))
        return sorted(number for index, number in enumerate(states) if number % self.count == index)

    def _part(self, memory: Memory, ring: bytes, member: str, size: int) -> tuple[bytes, list[tuple[int, int]]]:
        """A part of the ring, with zeros for what is missing in the dump: where that starts and stops."""
        if size > _MOST_BYTES:
            raise DumpError(f"{member} of the log has {size} bytes: at most {_MOST_BYTES} were expected", hint=_HINT)
        data, missing = with_gaps(memory, _word(ring, self._offset(member)), size)
        if missing:
            lost = sum(stop - start for start, stop in missing)
            self.missing.append(f"{lost} of {size} bytes of {member}")
        return data, missing

    def record(self, number: int) -> LogRecord | None:
        """The record of a descriptor's number; None where it has none, or no text."""
        index = number % self.count
        desc = self._descs[index * self._desc_size : (index + 1) * self._desc_size]
        state = _word(desc, self._offset("prb_desc.state_var"))
        if state & _ID_MASK != number or state >> 62 not in (_COMMITTED, _FINALIZED):
            return None
        begin, end = _word(desc, self._begin) % self._text_size, _word(desc, self._next) % self._text_size
        if begin == end:  # no text
            return None
        if begin > end:  # the block did not fit before the ring's end
            begin = 0
        info = self._infos[index * self._info_size : (index + 1) * self._info_size]
        at = self._offset("printk_info.text_len")
        begin += 8  # the descriptor's number is before the text
        size = min(int.from_bytes(info[at : at + 2], "little"), max(0, end - begin))
        if any(start < begin + size and begin < stop for start, stop in self._no_text):
            return None
        caller = None
        if self._caller is not None:
            caller = int.from_bytes(info[self._caller : self._caller + 4], "little")
        return LogRecord(_word(info, self._offset("printk_info.ts_nsec")), caller, self._texts[begin : begin + size])

    def _offset(self, name: str) -> int:
        found = self._info.offset(name)
        if found is None or found > 4096:
            raise DumpError(f"VMCOREINFO has no OFFSET({name})", hint=_HINT)
        return found

    def _size(self, name: str) -> int:
        found = self._info.size(name)
        if not found or found > 4096:
            raise DumpError(f"VMCOREINFO has no SIZE({name})", hint=_HINT)
        return found


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _bits(data: bytes, at: int) -> int:
    bits = int.from_bytes(data[at : at + 4], "little")
    if bits > _MOST_BITS:
        raise DumpError(f"a ring of the log has 2 to the {bits}: at most {_MOST_BITS} was expected", hint=_HINT)
    return bits

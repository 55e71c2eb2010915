"""The kernel's log, as each series of Linux keeps it.

5.10 and later   a ring of descriptors and one of text: `printk_ringbuffer`
3.5 to 5.9       a buffer of records, each with its size: `printk_log`
before           a buffer of text: `printk_log` too
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError
from warmboot.dump.printk_log import buffer_records, buffer_text
from warmboot.dump.printk_ringbuffer import LogRecord
from warmboot.dump.printk_ringbuffer import log_records as ring_records
from warmboot.visible import visible

if TYPE_CHECKING:
    from warmboot.dump.interface import Memory

__all__ = ["log_records", "log_text", "read_log"]


def log_records(memory: Memory, *, marks: bool = False) -> Iterator[LogRecord]:
    """The records, oldest first; those that are being written are left out. `marks` is as in `buffer_records`.

    Raises DumpError; where a part alone is damaged or missing, after the records that can be read.
    """
    info = memory.vmcoreinfo
    if info.symbol("prb") is not None or info.symbol("log_buf") is None:
        return ring_records(memory)
    if info.symbol("log_first_idx") is None:
        return buffer_text(memory)
    return buffer_records(memory, marks=marks)


def log_text(memory: Memory) -> Iterator[str]:
    """The log line by line, as vmcore-dmesg prints it, with control characters shown. Raises as `log_records` does."""
    for record in log_records(memory):
        text = record.text.decode("utf-8", "surrogateescape")
        if record.time is None:
            yield visible(text.removesuffix("\n"), keep_tab=True)
            continue
        seconds, rest = divmod(record.time, 1_000_000_000)
        for line in text.split("\n"):
            yield f"[{seconds:5}.{rest // 1000:06}] {visible(line, keep_tab=True)}"


def read_log(memory: Memory) -> tuple[list[LogRecord], str | None]:
    """The records that can be read, and what is wrong with the others."""
    records = list[LogRecord]()
    try:
        records.extend(log_records(memory))  # what came before the error stays
    except DumpError as error:
        return records, str(error)
    return records, None

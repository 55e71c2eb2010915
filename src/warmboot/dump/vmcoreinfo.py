"""VMCOREINFO: the lines in which a kernel describes itself to readers of its dump.

kernel/vmcore_info.c (6.9 and later; kernel/crash_core.c before): `SYMBOL(name)=hex`, `SIZE(name)=decimal`,
`OFFSET(struct.member)=decimal`, `LENGTH(name)=decimal`, `NUMBER(name)=decimal or hex`, and lines such as OSRELEASE.
Documentation/admin-guide/kdump/vmcoreinfo.rst has the meaning of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from warmboot.numbers import number as bounded

__all__ = ["Vmcoreinfo", "parse_vmcoreinfo"]


@dataclass(frozen=True, slots=True)
class Vmcoreinfo:
    """The lines by what stands before `=`. A getter returns None for what the kernel did not note as such a value.
    `found_at` is the physical address where a search has found it, None where headers have it."""

    lines: Mapping[str, str]
    found_at: int | None = None

    @property
    def release(self) -> str:
        """OSRELEASE, as `uname -r` tells it; empty if it is missing."""
        return self.lines.get("OSRELEASE", "")

    @property
    def page_size(self) -> int | None:
        """Bytes of a page."""
        return bounded(self.lines.get("PAGESIZE", ""))

    def symbol(self, name: str) -> int | None:
        """The virtual address of a symbol."""
        return bounded(self.lines.get(f"SYMBOL({name})", ""), 16)

    def size(self, name: str) -> int | None:
        """Bytes of a type."""
        return bounded(self.lines.get(f"SIZE({name})", ""))

    def offset(self, member: str) -> int | None:
        """The offset in bytes of a `struct.member`."""
        return bounded(self.lines.get(f"OFFSET({member})", ""))

    def length(self, name: str) -> int | None:
        """The number of elements of an array."""
        return bounded(self.lines.get(f"LENGTH({name})", ""))

    def number(self, name: str) -> int | None:
        """A number, which may be negative."""
        text = self.lines.get(f"NUMBER({name})", "")
        value = bounded(text.removeprefix("-"), 0)
        return -value if value is not None and text.startswith("-") else value


def parse_vmcoreinfo(note: bytes) -> Vmcoreinfo:
    """The note's contents: up to the first zero byte, one `name=value` a line; other lines are passed over."""
    text = note.partition(b"\0")[0].decode("utf-8", "replace")
    pairs = (line.partition("=") for line in text.splitlines())
    return Vmcoreinfo({name: value for name, equals, value in pairs if equals})

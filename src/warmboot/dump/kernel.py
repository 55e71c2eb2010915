"""The kernel that a dump is of: its symbols and types, and its variables read by them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from warmboot.dump.interface import DumpError
from warmboot.dump.kallsyms import Kallsyms, read_kallsyms
from warmboot.dump.kernel_btf import read_btf
from warmboot.visible import visible

if TYPE_CHECKING:
    from warmboot.dump.btf import Btf
    from warmboot.dump.btf_types import Struct
    from warmboot.dump.interface import Memory

__all__ = ["Kernel", "Record"]

_LARGEST = 1 << 20  # bytes of a structure: the largest of all are some 200 KiB
_MOST_ENTRIES = 1 << 19  # of a list
_MOST_PROCESSORS = 8192  # CONFIG_NR_CPUS of the largest kernels
_U64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Record:
    """A structure's bytes as they are in the dump. `address` is virtual."""

    struct: Struct
    address: int
    data: bytes
    order: Literal["little", "big"]

    def __contains__(self, path: str) -> bool:
        return path in self.struct

    def number(self, path: str) -> int:
        """The value of a number or pointer. Raises DumpError where there is no such member."""
        member = self.struct.member(path)
        size = member.type.size or 8
        value = int.from_bytes(self.data[member.offset : member.offset + size], self.order, signed=member.type.signed)
        return value if not member.bit_size else value >> (member.bit_offset & 7) & (1 << member.bit_size) - 1

    def text(self, path: str) -> str:
        """The string in an array of characters."""
        member = self.struct.member(path)
        data = self.data[member.offset : member.offset + member.type.size]
        return data.partition(b"\0")[0].decode("utf-8", "replace")

    def at(self, path: str) -> int:
        """The virtual address of a member."""
        return self.address + self.struct.offset(path)


class Kernel:
    """Symbols and types are read when they are first asked for; both raise DumpError where the dump has none."""

    def __init__(self, memory: Memory) -> None:
        self.memory: Memory = memory
        self.order: Literal["little", "big"] = "big" if memory.machine in ("s390x", "ppc64") else "little"

    @cached_property
    def symbols(self) -> Kallsyms:
        """The kernel's symbols."""
        return read_kallsyms(self.memory)

    @cached_property
    def btf(self) -> Btf:
        """The kernel's types."""
        return read_btf(self.memory, self.symbols)

    def record(self, struct: str | Struct, address: int) -> Record:
        """The structure at a virtual address. Raises DumpError where the dump has not all of it."""
        kind = self.btf.struct(struct) if isinstance(struct, str) else struct
        if kind.size > _LARGEST:
            raise DumpError(
                f"BTF: struct {visible(kind.name, most=80)} of {kind.size} bytes, at most {_LARGEST} were expected",
                hint="the dump's copy of the kernel's types is damaged",
            )
        return Record(kind, address, self.memory.virtual(address & _U64, kind.size), self.order)

    def number(self, address: int, size: int = 8, *, signed: bool = False) -> int:
        """The number of `size` bytes at a virtual address."""
        return int.from_bytes(self.memory.virtual(address & _U64, size), self.order, signed=signed)

    def variable(self, name: str, size: int = 8, *, signed: bool = False) -> int:
        """The value of a variable of the kernel. Raises DumpError where there is no such symbol."""
        return self.number(self.symbols.needed(name), size, signed=signed)

    @cached_property
    def processors(self) -> dict[int, int]:
        """What to add to a per-CPU address, by the number of each processor that is present."""
        offsets = self.symbols.address("__per_cpu_offset")
        mask = self.symbols.address("__cpu_present_mask")
        if offsets is None or mask is None:
            return {0: 0}  # a kernel of one processor alone
        most = min(_MOST_PROCESSORS, 8 * self.btf.struct("cpumask").size)
        bits = int.from_bytes(self.memory.virtual(mask, most // 8), "little")
        if self.order != sys.byteorder and self.order == "big":
            bits = sum((bits >> at & 0xFF) << (at ^ 56) for at in range(0, most, 8))
        return {cpu: self.number(offsets + 8 * cpu) for cpu in range(most) if bits >> cpu & 1}

    def walk(self, head: int) -> Iterator[int]:
        """The addresses of a circular list's entries (struct list_head), without the head.

        Raises DumpError where the list is broken off or loops; what is reached from the other end is given before.
        """
        seen, problems = {head}, list[str]()
        for forwards in (True, False):
            at, link = head, 0 if forwards else 8
            try:
                while (at := self.number(at + link)) not in seen:
                    self.number(at + link)  # of what cannot be read, nothing is given
                    if len(seen) > _MOST_ENTRIES:
                        raise DumpError("it does not end", hint="it is damaged")
                    seen.add(at)
                    yield at
            except DumpError as error:
                problems.append(str(error))
            else:
                if at == head and forwards:
                    return
                problems.append(f"it comes back to {at:#x}")
        raise DumpError(
            f"the list at {head:#x} is broken after {len(seen) - 1} entries: {problems[0]}",
            hint="what can be reached from both of its ends is shown",
        )

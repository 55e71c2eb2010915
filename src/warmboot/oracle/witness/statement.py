"""What a witness says, and where two of them differ.

Compared, between real Linux and the model, for one and the same image:

- The general registers, rip, CR0, CR4 and the segment selectors, whole: relocate_kernel sets each of them.
- RFLAGS but for the six status flags, which are what the last instruction left. IF is among the compared ones.
- EFER: SCE, LME, LMA and NX, with which Linux runs. The other bits say what the processor's vendor offers.
- CR3 and rsp: with a crash image whole, as control pages are taken from the reservation by a rule. With a normal
  image the frame is the page allocator's choice: then only the place in the page is compared, and what CR3 maps.
- What the page tables map: every byte that is mapped to itself, with its rights (the size of the pages is in no
  report), and what is mapped elsewhere: its size, its distance from the control page, its rights, and whether it is
  in the direct mapping or in the kernel's text. Where in the text, each build of a kernel decides for itself. The
  tables of this second part may lie in a destination, in Linux and in the model: then they are lost, and it is not
  compared. No table of the first part may be.
- The limit of the GDT, the word at the top of the stack, and that the witness's last page came as zeros.
- The SHA-256 of every destination range to the end of memsz; both must also be what the sources give.

Not compared: the status flags, and the limit of the IDT. Linux 6.15 and later leave the IDT of their relocation code
behind, whose handlers the model does not have; interrupts are off, and the next kernel brings its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from warmboot.errors import RefusedError
from warmboot.visible import visible

__all__ = ["REGISTERS", "Difference", "Mapped", "Statement", "StatementError", "differences"]

REGISTERS = (
    *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{number}" for number in range(8, 16))),
    *("rip", "cr0", "cr3", "cr4", "efer", "rflags", "cs", "ds", "es", "fs", "gs", "ss"),
    *("gdt_limit", "idt_limit", "scratch"),
)
_BEGIN, _END = "witness: entered", "witness: end"
_MAP = re.compile(r"map ([0-9a-f]{16})-([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f])")
_LOST = re.compile(r"lost ([0-9a-f]{16})")
_STACK = re.compile(r"stack ([0-9a-f]{16})")
_RANGE = re.compile(r"range ([0-9a-f]{16})-([0-9a-f]{16}) ([0-9a-f]{64})")

_SHOWN = 100  # characters of a wrong line
_IN_PAGE = 0xFFF
_CR4_LA57 = 1 << 12
_NOT_COMPARED = {
    "rflags": 0x8D5,  # OF SF ZF AF PF CF
    "efer": ~0xD01,  # all but NX LMA LME SCE
    "idt_limit": ~0,
}
_FRAME_IS_CHANCE = ("cr3", "rsp")
_UPPER_HALF = 1 << 63
_TEXT = 0xFFFF_FFFF_8000_0000  # __START_KERNEL_map
_PAGE_OFFSETS = (0xFFFF_8880_0000_0000, 0xFF11_0000_0000_0000)  # of the direct mapping, without KASLR


class StatementError(RefusedError):
    """A report that breaks off, or is none."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="the image crashed, or was never entered: look at the lines above")


@dataclass(frozen=True, slots=True)
class Mapped:
    """Virtual bytes from `virtual` on, mapped to physical ones; `rights` are 2 writable, 4 user, 8 not executable."""

    virtual: int
    size: int
    physical: int
    rights: int

    def contains(self, address: int) -> bool:
        """Whether that virtual address is mapped by this."""
        return self.virtual <= address < self.virtual + self.size

    def __str__(self) -> str:
        return f"{self.virtual:#x}-{self.virtual + self.size - 1:#x} to {self.physical:#x}, rights {self.rights:x}"


@dataclass(frozen=True, slots=True)
class Statement:
    """One report: registers by name, the mapping, the word that rsp points at, (start, end, SHA-256) of ranges.

    `lost` are the first virtual addresses of page tables that lie in a destination, and so hold no entries any more.
    """

    registers: dict[str, int]
    mapping: tuple[Mapped, ...]
    lost: tuple[int, ...]
    stack: int
    digests: tuple[tuple[int, int, str], ...]

    @classmethod
    def parse(cls, text: str) -> Statement:
        """The report in what came over the serial port; what is before and behind it does not matter.

        Raises StatementError, naming the line that is missing or wrong.
        """
        lines = [line.rstrip("\r") for line in text.split("\n")]
        if _BEGIN not in lines:
            raise StatementError("the witness was never entered")
        rest = iter(lines[lines.index(_BEGIN) + 1 :])
        line = next(rest, "")
        registers = {}
        for name in REGISTERS:
            match = re.fullmatch(rf"{name} ([0-9a-f]{{16}})", line)
            if match is None:
                raise StatementError(f"the witness's report has {_shown(line)} for the register {name}")
            registers[name] = int(match[1], 16)
            line = next(rest, "")
        la57 = bool(registers["cr4"] & _CR4_LA57)
        mapping, lost = [], []
        while True:
            if match := _MAP.fullmatch(line):
                start, end, physical, rights = (int(each, 16) for each in match.groups())
                mapping.append(Mapped(_canonical(start, la57=la57), end - start, physical, rights))
            elif match := _LOST.fullmatch(line):
                lost.append(_canonical(int(match[1], 16), la57=la57))
            else:
                break
            line = next(rest, "")
        match = _STACK.fullmatch(line)
        if match is None:
            raise StatementError(f"the witness's report has {_shown(line)} for the top of the stack")
        stack = int(match[1], 16)
        line = next(rest, "")
        digests = []
        while match := _RANGE.fullmatch(line):
            digests.append((int(match[1], 16), int(match[2], 16), match[3]))
            line = next(rest, "")
        if line != _END:
            raise StatementError(f"the witness's report has {_shown(line)} after {len(digests)} ranges")
        return cls(registers, tuple(mapping), tuple(lost), stack, tuple(digests))

    @property
    def control_page(self) -> int:
        """Physical address of the page that the stack is in."""
        return self.registers["rsp"] & ~_IN_PAGE

    @property
    def identity(self) -> list[Mapped]:
        """What is mapped to itself."""
        return [each for each in self.mapping if each.virtual == each.physical]

    @property
    def elsewhere(self) -> list[str]:
        """What is not, told without what is a build's or the allocator's choice."""
        return [self._place(each) for each in self.mapping if each.virtual != each.physical]

    def _place(self, each: Mapped) -> str:
        where = f"{each.virtual:#x}"
        if each.virtual >= _TEXT:
            where = "the kernel's text"
        elif each.virtual - each.physical in _PAGE_OFFSETS:
            where = "the direct mapping"
        distance = each.physical - self.control_page
        return f"{each.size} bytes of {where} to the control page{distance:+#x}, rights {each.rights:x}"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same."""

    what: str
    linux: str
    model: str

    def __str__(self) -> str:
        return f"{self.what}: Linux {self.linux}, model {self.model}"


def differences(
    linux: Statement, model: Statement, *, crash: bool, expected: Sequence[tuple[int, int, str]]
) -> list[Difference]:
    """Every difference; `expected` are the digests that the sources give. None means agreement."""
    found = [*_registers(linux, model, crash=crash), *_mappings(linux, model)]
    if linux.stack != model.stack:
        found.append(Difference("the top of the stack", f"{linux.stack:#x}", f"{model.stack:#x}"))
    for wanted, there, here in zip_longest(expected, linux.digests, model.digests):
        if not wanted == there == here:
            found.append(Difference(f"what should be {_range(wanted)}", _range(there), _range(here)))
    return found


def _registers(linux: Statement, model: Statement, *, crash: bool) -> Iterator[Difference]:
    for name in REGISTERS:
        ignored = _NOT_COMPARED.get(name, 0)
        if name in _FRAME_IS_CHANCE and not crash:
            ignored = ~_IN_PAGE
        there, here = linux.registers[name], model.registers[name]
        if (there ^ here) & ~ignored:
            yield Difference(name, f"{there:#x}", f"{here:#x}")
    for kernel, statement in (("Linux", linux), ("model", model)):
        if statement.registers["scratch"]:
            yield Difference(f"the last page under {kernel}", *["not zero"] * 2)


def _mappings(linux: Statement, model: Statement) -> Iterator[Difference]:
    for kernel, statement in (("Linux", linux), ("model", model)):
        for address in statement.lost:
            if address < _UPPER_HALF:
                yield Difference(f"the identity mapping from {address:#x} of {kernel}", *["overwritten"] * 2)
        if not any(each.contains(statement.control_page) for each in statement.identity):
            yield Difference(f"the control page of {kernel}", *["not mapped to itself"] * 2)
    yield from _pairs("mapped to itself", linux.identity, model.identity)
    if not linux.lost and not model.lost:
        yield from _pairs("mapped elsewhere", linux.elsewhere, model.elsewhere)


def _pairs(what: str, linux: Sequence[object], model: Sequence[object]) -> Iterator[Difference]:
    for there, here in zip_longest(linux, model, fillvalue="nothing"):
        if there != here:
            yield Difference(what, f"{there}", f"{here}")


def _range(digest: tuple[int, int, str] | None) -> str:
    return f"{digest[0]:#x}-{digest[1]:#x} {digest[2]}" if digest else "nothing"


def _shown(line: str) -> str:
    return f"'{visible(line, most=_SHOWN)}'"


def _canonical(address: int, *, la57: bool) -> int:
    """The address with its highest translated bit repeated above it, as the processor wants it."""
    bits = 57 if la57 else 48
    return address | ~((1 << bits) - 1) & (1 << 64) - 1 if address >> bits - 1 & 1 else address

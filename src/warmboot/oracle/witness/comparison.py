"""Where the reports of two witnesses differ.

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
- The limit of the GDT, the word at the top of a stack that has one, and that the witness's last page came as zeros.
- The SHA-256 of every destination range to the end of memsz; both must also be what the sources give.

Not compared: the status flags, and the limit of the IDT. Linux 6.15 and later leave the IDT of their relocation code
behind, whose handlers the model does not have; interrupts are off, and the next kernel brings its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from warmboot.oracle.witness.arch import ReportRules
from warmboot.oracle.witness.statement import Statement

__all__ = ["Difference", "differences"]

_IN_PAGE = 0xFFF
_UPPER_HALF = 1 << 63


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same."""

    what: str
    linux: str
    model: str

    def __str__(self) -> str:
        return f"{self.what}: Linux {self.linux}, model {self.model}"


def differences(
    linux: Statement, model: Statement, rules: ReportRules, *, crash: bool, expected: Sequence[tuple[int, int, str]]
) -> list[Difference]:
    """Every difference, by the rules of the architecture; `expected` are the digests that the sources give.

    None means agreement.
    """
    found = [*_registers(linux, model, rules, crash=crash), *_mappings(linux, model, rules)]
    empty = not linux.registers[rules.stack_pointer] & _IN_PAGE  # what lies there is another page
    if linux.stack != model.stack and not empty:
        found.append(Difference("the top of the stack", f"{linux.stack:#x}", f"{model.stack:#x}"))
    for wanted, there, here in zip_longest(expected, linux.digests, model.digests):
        if not wanted == there == here:
            found.append(Difference(f"what should be {_range(wanted)}", _range(there), _range(here)))
    return found


def _registers(linux: Statement, model: Statement, rules: ReportRules, *, crash: bool) -> Iterator[Difference]:
    for name in rules.registers:
        ignored = rules.not_compared.get(name, 0)
        if name in rules.frame_is_chance and not crash:
            ignored = ~_IN_PAGE
        there, here = linux.registers[name], model.registers[name]
        if (there ^ here) & ~ignored:
            yield Difference(name, f"{there:#x}", f"{here:#x}")
    for kernel, statement in (("Linux", linux), ("model", model)):
        if statement.registers["scratch"]:
            yield Difference(f"the last page under {kernel}", *["not zero"] * 2)


def _mappings(linux: Statement, model: Statement, rules: ReportRules) -> Iterator[Difference]:
    for kernel, statement in (("Linux", linux), ("model", model)):
        for address in statement.lost:
            if address < _UPPER_HALF:
                yield Difference(f"the identity mapping from {address:#x} of {kernel}", *["overwritten"] * 2)
        if not any(each.contains(_control_page(statement, rules)) for each in statement.identity):
            yield Difference(f"the control page of {kernel}", *["not mapped to itself"] * 2)
    yield from _pairs("mapped to itself", linux.identity, model.identity)
    if not linux.lost and not model.lost:
        yield from _pairs("mapped elsewhere", *(_elsewhere(each, rules) for each in (linux, model)))


def _control_page(statement: Statement, rules: ReportRules) -> int:
    """Physical address of the page that the stack is in, which may be empty."""
    return (statement.registers[rules.stack_pointer] - 1) & ~_IN_PAGE


def _elsewhere(statement: Statement, rules: ReportRules) -> list[str]:
    """What is not mapped to itself, told without what is a build's or the allocator's choice."""
    found = []
    for each in statement.mapping:
        if each.virtual == each.physical:
            continue
        where = f"{each.virtual:#x}"
        if each.virtual >= rules.text:
            where = "the kernel's text"
        elif each.virtual - each.physical in rules.page_offsets:
            where = "the direct mapping"
        distance = each.physical - _control_page(statement, rules)
        found.append(f"{each.size} bytes of {where} to the control page{distance:+#x}, rights {each.rights:x}")
    return found


def _pairs(what: str, linux: Sequence[object], model: Sequence[object]) -> Iterator[Difference]:
    for there, here in zip_longest(linux, model, fillvalue="nothing"):
        if there != here:
            yield Difference(what, f"{there}", f"{here}")


def _range(digest: tuple[int, int, str] | None) -> str:
    return f"{digest[0]:#x}-{digest[1]:#x} {digest[2]}" if digest else "nothing"

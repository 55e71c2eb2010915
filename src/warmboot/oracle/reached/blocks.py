"""Basic blocks: pieces of code that are entered at their first instruction alone, and left behind their last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from warmboot.machines.arch import DEFAULT
from warmboot.memmap import Range
from warmboot.oracle.reached.arch import Flow, of
from warmboot.oracle.reached.debug_file import CodeFunction, DebugFile, Place
from warmboot.oracle.reached.disassembly import Instruction, disassembled, disassembled_section

__all__ = ["Block", "blocks"]

_NEAR = 1 << 14  # bytes


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its function, its addresses, and the line of the function's file that its first instruction is of."""

    function: str
    start: int
    end: int
    place: Place
    inlined: str  # the innermost function, also of another file
    calls: tuple[str, ...]  # what it calls
    before: tuple[int, ...]  # blocks from which it is entered

    def __str__(self) -> str:
        return f"{self.function} {self.place.file}:{self.place.line}"


def blocks(debug: DebugFile, functions: Sequence[CodeFunction], machine: str = DEFAULT) -> list[Block]:
    """All blocks of the functions, in the order of their addresses. Padding, which nothing leads to, is none.

    Raises MissingToolError without binutils.
    """
    arch = of(machine)
    section = arch.feature_tests
    tests = disassembled_section(debug.path, section, arch) if debug.has_section(section) else ()
    marks = _Marks(
        debug.warnings(), set(debug.fixups()), dict(debug.jump_labels()), {each.address: each for each in tests}
    )
    whole = [each for piece in _neighbourhoods(functions) for each in disassembled(debug.path, piece, arch)]
    found: list[Block] = []
    for function in functions:
        code = [each for piece in function.ranges for each in whole if piece.start <= each.address < piece.end]
        found += _Function(function, code, marks).blocks()
    return sorted(found, key=lambda each: each.start)


def _neighbourhoods(functions: Sequence[CodeFunction]) -> list[Range]:
    """Where the functions lie, in few pieces: a kernel file is large, and each reading of it takes a second."""
    found: list[Range] = []
    for each in sorted((piece for function in functions for piece in function.ranges), key=lambda piece: piece.start):
        if found and each.start - found[-1].end < _NEAR:
            found[-1] = Range(found[-1].start, max(found[-1].end, each.end))
        else:
            found.append(each)
    return found


@dataclass(frozen=True, slots=True)
class _Marks:
    """What the kernel notes of its code: traps that warn, where faults lead, static keys, and tests of features."""

    warnings: set[int]
    fixups: set[int]
    labels: dict[int, int]
    tests: dict[int, Instruction]


class _Function:
    def __init__(self, function: CodeFunction, code: Sequence[Instruction], marks: _Marks) -> None:
        self._function, self._marks = function, marks
        self._code = {each.address: each for each in code}
        self._next = {
            one: other
            for one, other in pairwise(self._code)
            if any(piece.start <= one < other < piece.end for piece in function.ranges)
        }
        self._entries = [function.ranges[0].start, *sorted(marks.fixups & self._code.keys())]

    def blocks(self) -> Iterator[Block]:
        """In no order."""
        spans = {start: self._span(start, leaders) for leaders in [self._leaders()] for start in leaders}
        before: dict[int, list[int]] = {start: [] for start in spans}
        for start, span in spans.items():
            follow, jumps = self._after(span[-1])
            for each in {*jumps, *([] if follow is None else [follow])}:
                before[each].append(start)
        for start, span in spans.items():
            yield Block(
                self._function.name,
                start,
                self._next.get(span[-1], span[-1] + 1),
                self._function.place(start),
                self._function.inlined(start),
                tuple(self._code[each].symbol for each in span if self._code[each].is_call),
                tuple(sorted(before[start])),
            )

    def _leaders(self) -> set[int]:
        """Where blocks begin: what is entered, what is jumped to, and what follows a jump that may not be taken."""
        leaders, reached = set(self._entries), set[int]()
        wanted = [*self._entries]
        while wanted:
            address: int | None = wanted.pop()
            while address is not None and address not in reached:
                reached.add(address)
                address, jumps = self._after(address)
                leaders.update(jumps)
                wanted += jumps
                if jumps and address is not None:
                    leaders.add(address)
        return leaders

    def _span(self, start: int, leaders: set[int]) -> list[int]:
        """The instructions of a block."""
        found = [start]
        while True:
            follow, jumps = self._after(found[-1])
            if follow is None or jumps or follow in leaders:
                return found
            found.append(follow)

    def _after(self, address: int) -> tuple[int | None, list[int]]:
        """The instruction that the processor goes on to, and those to which it may jump, within the function."""
        each, label = self._code[address], self._marks.labels.get(address)
        follow = self._next.get(address)
        if follow is not None and self._code[follow].flow is Flow.PADDING:
            follow = None
        jumps = [] if label is None else [label]
        if each.flow in (Flow.BRANCH, Flow.JUMP) and each.target is not None:
            jumps += [each.target] if each.target not in self._marks.tests else self._tested(each.target)
        goes_on = each.flow in (Flow.ON, Flow.BRANCH) or label is not None
        if not goes_on and not (each.flow is Flow.TRAP and address in self._marks.warnings):
            follow = None
        return follow, [target for target in jumps if target in self._code]

    def _tested(self, address: int) -> list[int]:
        """Where a test of a processor's feature may lead: a conditional jump and another one."""
        found = list[int]()
        for at, each in self._marks.tests.items():
            if at >= address and each.target is not None and each.flow in (Flow.BRANCH, Flow.JUMP):
                found.append(each.target)
                if each.flow is Flow.JUMP:
                    break
        return found

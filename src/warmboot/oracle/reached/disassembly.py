"""Instructions of a kernel file, as binutils' objdump reads them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from warmboot.errors import MissingToolError
from warmboot.memmap import Range
from warmboot.oracle.reached.arch import CodeArch, Flow
from warmboot.programs import clean_environment, find_program

__all__ = ["Instruction", "disassembled", "disassembled_section"]

_LINE = re.compile(r"^ *([0-9a-f]+):\t(.+)$", re.MULTILINE)
_ADDRESS = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction; `target` and `symbol` are of a jump or call whose target is written in it."""

    address: int
    flow: Flow
    target: int | None
    symbol: str
    is_call: bool


def disassembled(path: Path, piece: Range, arch: CodeArch) -> Iterator[Instruction]:
    """The code in `piece`, by virtual address. Raises MissingToolError without binutils."""
    return _objdump(path, arch, f"--start-address={piece.start:#x}", f"--stop-address={piece.end:#x}")


def disassembled_section(path: Path, name: str, arch: CodeArch) -> Iterator[Instruction]:
    """The code of the section `name`, which the file has. Raises MissingToolError without binutils."""
    return _objdump(path, arch, "-j", name)


def _objdump(path: Path, arch: CodeArch, *limits: str) -> Iterator[Instruction]:
    program = find_program("objdump")
    if program is None:
        raise MissingToolError("objdump is not installed", hint="as root: apt-get install binutils")
    command = [program, "-d", "--no-show-raw-insn", *limits, str(path)]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, encoding="utf-8", check=True)
    for line in _LINE.finditer(done.stdout):
        words = line[2].split("#")[0].split()
        while len(words) > 1 and words[0] in arch.prefixes:
            words.pop(0)
        name = words[0].split(",")[0]  # je,pt
        target = int(words[1], 16) if len(words) > 1 and _ADDRESS.fullmatch(words[1]) else None
        symbol = words[2].strip("<>") if len(words) > 2 else ""
        yield Instruction(int(line[1], 16), arch.flow(name), target, symbol, name.startswith("call"))

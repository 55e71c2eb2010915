"""Real kernels that are asked about signatures: one boot for all cases of a test."""

from __future__ import annotations

import ast
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import signature_agent
from support.guests import FAST
from warmboot.debian import cpio
from warmboot.machines.guest import Guest
from warmboot.oracle.guest.root import root_layer

__all__ = ["Case", "Told", "ask"]

_PATIENCE = 180.0  # seconds without a word, on a busy machine


@dataclass(frozen=True)
class Case:
    """A file with other bytes at offsets, and so many bytes of it; asked under lockdown too where `locked`."""

    name: str
    file: str
    patches: tuple[tuple[int, bytes], ...] = ()
    size: int = -1
    locked: bool = True

    def content(self, files: Mapping[str, bytes]) -> bytes:
        return signature_agent.patched(files[self.file], list(self.patches), self._size(files))

    def line(self, files: Mapping[str, bytes]) -> str:
        name = f"{self.name}*" if self.locked else self.name
        return f"{(name, f'/{self.file}', list(self.patches), self._size(files))!r}\n"

    def _size(self, files: Mapping[str, bytes]) -> int:
        return len(files[self.file]) if self.size < 0 else self.size


@dataclass(frozen=True)
class Told:
    """By case: the call's errno, the signature's errno in the log, and both under lockdown. 0 is success."""

    keys: Mapping[str, list[str]]
    answers: Mapping[str, list[int]]
    calls: Mapping[str, int]


def ask(
    kernel: Path,
    files: Mapping[str, bytes],
    cases: Sequence[Case],
    options: Sequence[str] = (),
    memory: int = 512 << 20,
) -> Told:
    """What that kernel says of the cases."""
    source = Path(signature_agent.__file__).read_bytes()
    layer = [cpio.file("init", b"#!/usr/bin/python3.11 -SIB\n" + source, 0o755)]
    layer += [cpio.file("cases", "".join(each.line(files) for each in cases).encode())]
    layer += [cpio.file(name, data) for name, data in files.items()]
    initrd = root_layer() + gzip.compress(cpio.archive(layer), 1, mtime=0)
    line = f'console=ttyS0 quiet panic=-1 {FAST} dyndbg="file kexec_file.c +p; file */kexec_file.c +p"'
    answers: list[dict[str, Any]] = []
    with Guest(kernel, [initrd], memory=memory, command_line=line, options=options) as guest:
        for text in guest.lines(_PATIENCE):
            last = text
            if text.startswith("= "):
                answers.append(ast.literal_eval(text[2:]))
            if len(answers) == 3:
                break
        else:
            raise AssertionError("\n".join([last, *guest.last_words()]))
    keys, told, calls = answers
    return Told(keys, {name.removesuffix("*"): each for name, each in told.items()}, calls)

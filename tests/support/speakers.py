"""Kernels of a few hundred bytes that write a text of the test's to a serial port, by binutils."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["console_speaker", "setup_speaker"]

# A bzImage whose real-mode part speaks over COM2, where an agent in a guest would.
_SETUP = r"""
.code16
.org 0x1f1
.byte 1; .word 0; .long 0x20; .word 0,0,0; .word 0xaa55
.byte 0xeb, start-1f
1: .ascii "HdrS"
.word 0x20c
.org 0x211
.byte 1
.org 0x214
.long 0x100000
.org 0x22c
.long 0x37ffffff, 0x1000
.byte 1,0
.word 3
.long 255
.org 0x268
start: mov %cs,%ax; mov %ax,%ds; mov $(text-0x200),%si
2: lodsb; test %al,%al; jz 3f; mov %al,%ah
4: mov $0x2fd,%dx; inb %dx,%al; test $0x20,%al; jz 4b; mov $0x2f8,%dx; mov %ah,%al; outb %al,%dx; jmp 2b
3: hlt; jmp 3b
text: .ascii "TEXT"
.byte 0
.org 0x400
.skip 0x200, 0xf4
"""

_CONSOLE = """
.globl _start
_start: cld
0: lea text(%rip),%rsi; mov $text_end-text,%rcx
1: mov $0x3fd,%edx
2: inb %dx,%al; test $0x20,%al; jz 2b; mov $0x3f8,%edx; lodsb; outb %al,%dx; dec %rcx; jnz 1b
AGAIN
3: hlt; jmp 3b
text: .incbin "text"
text_end:
"""


def setup_speaker(path: Path, text: str) -> Path:
    """A bzImage at `path` that says `text`, with the assembler's escapes, over COM2 as soon as it is started."""
    return _assembled(
        path, _SETUP.replace("TEXT", text), "-m", "elf_i386", "--oformat", "binary", "-Ttext=0", "-e", "0"
    )


def console_speaker(path: Path, text: bytes, *, again: bool) -> Path:
    """An ELF kernel at `path` that writes `text` to COM1, once or for ever."""
    path.with_name("text").write_bytes(text)
    return _assembled(path, _CONSOLE.replace("AGAIN", "jmp 0b" if again else ""), "-n", "-Ttext=0x1000000")


def _assembled(path: Path, source: str, *link: str) -> Path:
    bits = "--32" if "elf_i386" in link else "--64"
    made = path.with_suffix(".o")
    subprocess.run(["as", bits, "-o", made, "-"], input=source.encode(), cwd=path.parent, check=True)
    command = ["ld", "--no-warn-rwx-segments", *link, "-o", str(path), str(made)]
    subprocess.run(command, cwd=path.parent, check=True, capture_output=True)
    return path

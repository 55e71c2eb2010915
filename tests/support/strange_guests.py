"""Guests that are no kernels: a few instructions that write to a serial port what no honest guest would."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

__all__ = ["agent_that_says", "console_that_says"]

# A bzImage of three sectors, whose real-mode part (Documentation/arch/x86/boot.rst) writes the text to COM2 and halts.
_AGENT = """
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
text: .incbin "text"
.byte 0
.org 0x400
.skip 0x200, 0xf4
"""

# An ELF file whose 64-bit entry writes the text to COM1, and then AFTER.
_CONSOLE = """
.globl _start
_start: cld
0: lea text(%rip),%rsi; mov $text_end-text,%rcx
1: mov $0x3fd,%edx
2: inb %dx,%al; test $0x20,%al; jz 2b; mov $0x3f8,%edx; lodsb; outb %al,%dx; dec %rcx; jnz 1b
AFTER
3: hlt; jmp 3b
text: .incbin "text"
text_end:
"""
# jmp 0b: again, for ever; through the keyboard controller's reset line; through the PIIX4's sleep control
_AFTER = {
    "halt": "",
    "again": "jmp 0b",
    "reset": "mov $0xfe,%al; outb %al,$0x64",
    "off": "mov $0x604,%edx; mov $0x2000,%ax; outw %ax,%dx",
}


def agent_that_says(text: bytes) -> bytes:
    """A bzImage that boots, and whose agent on the second port says `text` (no zero bytes, at most 300)."""
    return _assembled(_AGENT, text, "--32", ("-m", "elf_i386", "--oformat", "binary", "-Ttext=0", "-e", "0"))


def console_that_says(text: bytes, after: str = "halt") -> bytes:
    """An ELF kernel whose console shows `text`; `after` that it halts, says it `again` for ever, or asks for a `reset`
    or to be switched `off`."""
    return _assembled(_CONSOLE.replace("AFTER", _AFTER[after]), text, "--64", ("-n", "-Ttext=0x1000000"))


def _assembled(source: str, text: bytes, width: str, link: tuple[str, ...]) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "text").write_bytes(text)
        (folder / "source.s").write_text(source)
        for command in (["as", width, "source.s", "-o", "object"], ["ld", *link, "-o", "image", "object"]):
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return (folder / "image").read_bytes()

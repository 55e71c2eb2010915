"""A 32-bit kernel of a few hundred bytes that tells over the serial port how it was entered, then powers QEMU off.

It says `@@ 99 up release=NAME`, with its command line and the first word of its first module: NAME is multiboot1,
multiboot2, or linux where it was entered by Linux's 32-bit protocol.
"""

from __future__ import annotations

from support.formats import MULTIBOOT1, MULTIBOOT2, assembled

__all__ = ["HOP", "elf32_kernel", "multiboot1_kernel", "multiboot2_kernel"]

HOP = 99

_CODE = """
.globl _start
_start: mov $stack, %esp
        cld
        cmp $0x2BADB002, %eax
        je one
        cmp $0x36D76289, %eax
        je two
        mov $is_linux, %edi
        mov 0x228(%esi), %edx           # cmd_line_ptr
        xor %ecx, %ecx
        jmp tell

one:    mov $is_one, %edi
        mov 16(%ebx), %edx              # cmdline
        xor %ecx, %ecx
        testl $8, (%ebx)
        jz tell
        cmpl $0, 20(%ebx)               # mods_count
        je tell
        mov 24(%ebx), %ecx
        mov (%ecx), %ecx
        jmp tell

two:    mov $is_two, %edi
        mov $none, %edx
        xor %ecx, %ecx
        add $8, %ebx
1:      mov (%ebx), %eax
        test %eax, %eax
        jz tell
        cmp $1, %eax
        jne 2f
        lea 8(%ebx), %edx
2:      cmp $3, %eax
        jne 3f
        mov 8(%ebx), %ecx
3:      add 4(%ebx), %ebx
        add $7, %ebx
        and $-8, %ebx
        jmp 1b

# edi: the name, edx: the command line, ecx: a module or 0
tell:   mov $up, %esi
        call put
        mov %edi, %esi
        call put
        mov $line, %esi
        call put
        mov %edx, %esi
        call put
        mov $module, %esi
        call put
        mov %ecx, %esi
        test %esi, %esi
        jnz 1f
        mov $none, %esi
1:      call put
        mov $end, %esi
        call put
        mov $0x604, %dx                 # the power management port of QEMU's PC
        mov $0x2000, %ax
        out %ax, %dx
1:      hlt
        jmp 1b

# esi: text that ends with zero or a line end; a space becomes a comma
put:    push %edx
1:      mov $0x3FD, %dx
2:      in %dx, %al
        test $0x20, %al
        jz 2b
        lodsb
        test %al, %al
        jz 4f
        cmp $' ', %al
        jne 3f
        mov $',', %al
3:      cmp $'~', %al
        jne 5f
        mov $' ', %al
5:      mov $0x3F8, %dx
        out %al, %dx
        jmp 1b
4:      pop %edx
        ret

up:     .asciz "\\n@@~99~up~release="
line:   .asciz "~line="
module: .asciz "~module="
end:    .asciz "\\n@@~99~end\\n"
is_one: .asciz "multiboot1"
is_two: .asciz "multiboot2"
is_linux: .asciz "linux"
none:   .asciz "none"
.bss
        .skip 0x1000
stack:
"""
_PLACE = ("-Ttext=0x200000",)


def elf32_kernel() -> bytes:
    """As a plain ELF for i386."""
    return assembled(f".text{_CODE}", bits=32, options=_PLACE)


def multiboot1_kernel() -> bytes:
    """With a multiboot 1 header that asks for page-aligned modules and a memory map."""
    header = f".text\n.align 4\n.long {MULTIBOOT1}, 3, {-(MULTIBOOT1 + 3) & 0xFFFFFFFF}\n"
    return assembled(header + _CODE, bits=32, options=_PLACE)


def multiboot2_kernel() -> bytes:
    """With a multiboot 2 header without wishes."""
    header = f".text\n.align 8\nh: .long {MULTIBOOT2}, 0, 24, {-(MULTIBOOT2 + 24) & 0xFFFFFFFF}\n.word 0, 0\n.long 8\n"
    return assembled(header + _CODE, bits=32, options=_PLACE)

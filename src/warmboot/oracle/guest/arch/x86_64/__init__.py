"""x86_64: kexec_load by its own entry and by that of 32-bit programs."""

from __future__ import annotations

__all__ = ["CALL", "KERNEL", "NR_IOCTL", "NR_KEXEC_FILE_LOAD", "NR_USERFAULTFD", "compat_call"]

KERNEL = 0xFFFF_8000_0000_0000
NR_IOCTL, NR_KEXEC_FILE_LOAD, NR_USERFAULTFD = 16, 320, 323

# mov r10, rcx; mov eax, __NR_kexec_load; syscall; ret
CALL = bytes.fromhex("4989ca b8f6000000 0f05 c3")


def compat_call(stack: int) -> bytes:
    """By int 0x80, which takes ebx, ecx, edx, esi. Linux before 5.15 puts a table of its own on the caller's stack,
    which it takes to lie below 4 GiB."""
    # push rbx; push r12; mov ebx, edi; mov eax, ecx; mov ecx, esi; mov esi, eax; mov r12, rsp; mov esp, stack
    before = bytes.fromhex("53 4154 89fb 89c8 89f1 89c6 4989e4 bc")
    # mov eax, 283; int 0x80; mov rsp, r12; pop r12; pop rbx; ret
    return before + stack.to_bytes(4, "little") + bytes.fromhex("b81b010000 cd80 4c89e4 415c 5b c3")

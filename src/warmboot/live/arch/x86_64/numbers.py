"""Numbers of the system calls (arch/x86/entry/syscalls/syscall_64.tbl), and of the architecture among kexec's flags."""

from __future__ import annotations

__all__ = ["KEXEC_ARCH_X86_64", "KEXEC_FILE_LOAD", "KEXEC_LOAD", "KEYCTL", "READ_COUNTER", "REBOOT"]

KEXEC_LOAD, KEXEC_FILE_LOAD, REBOOT, KEYCTL = 246, 320, 169, 250
# rdtsc; shl $32, %rdx; or %rdx, %rax; ret. Linux leaves the time-stamp counter as it finds it.
READ_COUNTER = bytes.fromhex("0f31 48c1e220 4809d0 c3")
KEXEC_ARCH_X86_64 = 62 << 16  # KexecArch.X86_64; that module's enums would cost more than the call

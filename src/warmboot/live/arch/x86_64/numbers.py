"""Numbers of the system calls (arch/x86/entry/syscalls/syscall_64.tbl), and of the architecture among kexec's flags."""

from __future__ import annotations

__all__ = ["KEXEC_ARCH_X86_64", "KEXEC_FILE_LOAD", "KEXEC_LOAD", "REBOOT"]

KEXEC_LOAD, KEXEC_FILE_LOAD, REBOOT = 246, 320, 169
KEXEC_ARCH_X86_64 = 62 << 16  # KexecArch.X86_64; that module's enums would cost more than the call

"""Which boot of this computer this is, and whether kexec began it."""

from __future__ import annotations

from warmboot.live.files import number, text, under

__all__ = ["boot_id", "started_by_kexec"]

_KEXEC = 0xD  # the kind of boot loader, from bit 4 on (x86's boot.rst, type_of_loader)


def boot_id(root: str = "/") -> str:
    """That of the running kernel, another at each boot, in hexadecimal without dashes; empty where it has none."""
    return (text(under(root, "proc/sys/kernel/random/boot_id")) or "").replace("-", "")


def started_by_kexec(root: str = "/") -> bool | None:
    """Whether a kexec started the running kernel, whoever loaded it; None where the kernel does not tell."""
    kind = number(under(root, "proc/sys/kernel/bootloader_type"))
    return kind >> 4 == _KEXEC if kind else None

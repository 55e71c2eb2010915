"""What the running kernel tells of loaded images: /sys/kernel/kexec/* since Linux 6.19, /sys/kernel/kexec_* before.

Of these each answer is None where neither file can be read, as in a kernel without kexec.
"""

from __future__ import annotations

from warmboot.live.files import exists, number, text, under

__all__ = [
    "crash_elfcorehdr_size",
    "crash_loaded",
    "crash_size",
    "is_locked_down",
    "keeps_notes",
    "loaded",
    "may_have_box",
]


def loaded(root: str = "/") -> bool | None:
    """Whether an image is loaded that a reboot by kexec would start."""
    return _flag(root, "kexec/loaded", "kexec_loaded")


def crash_loaded(root: str = "/") -> bool | None:
    """Whether an image is loaded that a crash would start."""
    return _flag(root, "kexec/crash_loaded", "kexec_crash_loaded")


def crash_size(root: str = "/") -> int | None:
    """Bytes that are reserved for crash kernels."""
    return _first(root, "kexec/crash_size", "kexec_crash_size")


def crash_elfcorehdr_size(root: str = "/") -> int | None:
    """Bytes that an elfcorehdr needs to grow with the machine; with CONFIG_CRASH_HOTPLUG only, since Linux 6.6."""
    return _first(root, "kexec/crash_elfcorehdr_size", "crash_elfcorehdr_size")


def is_locked_down(root: str = "/") -> bool:
    """Whether the kernel forbids what could change it while it runs, kexec_load among that (lockdown, Linux 5.4)."""
    told = text(under(root, "sys/kernel/security/lockdown")) or ""
    return "[" in told and "[none]" not in told


def may_have_box(root: str = "/") -> bool:
    """Whether the running kernel's command line names a page for a black box, or ramoops may have one; blackbox.place
    knows more."""
    named = "warmboot.blackbox=" in (text(under(root, "proc/cmdline")) or "")
    return named or exists(under(root, "sys/module/ramoops"))


def keeps_notes(root: str = "/") -> bool:
    """Whether this computer has the folder in which loads are noted (blackbox.state)."""
    return exists(under(root, "var/lib/warmboot"))


def _first(root: str, *names: str) -> int | None:
    for name in names:
        found = number(under(root, f"sys/kernel/{name}"))
        if found is not None:
            return found
    return None


def _flag(root: str, *names: str) -> bool | None:
    found = _first(root, *names)
    return None if found is None else bool(found)

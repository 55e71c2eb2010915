"""The options of kexec-tools 2.0.32 that every architecture has, in its order.

The order counts: the message about an ambiguous option lists the candidates in it. The third field of an option is what
it means: options of one meaning are the same.
"""

from __future__ import annotations

__all__ = [
    "EXTRA",
    "GENERAL",
    "LOADER",
    "LOADING_ONLY",
    "SHORT",
    "SHORT_MEANINGS",
]

SHORT = "h?vdfixyluet:pscaS"

SHORT_MEANINGS = {
    "h": "help",
    "v": "version",
    "d": "debug",
    "f": "force",
    "i": "no-checks",
    "x": "no-ifdown",
    "y": "no-sync",
    "l": "load",
    "u": "unload",
    "e": "exec",
    "t": "type",
    "p": "load-panic",
    "s": "kexec-file-syscall",
    "c": "kexec-syscall",
    "a": "kexec-syscall-auto",
    "S": "status",
}

GENERAL = (
    ("help", False, "help"),
    ("version", False, "version"),
    ("force", False, "force"),
    ("no-checks", False, "no-checks"),
    ("no-ifdown", False, "no-ifdown"),
    ("no-sync", False, "no-sync"),
    ("load", False, "load"),
    ("unload", False, "unload"),
    ("exec", False, "exec"),
    ("exec-live-update", False, "exec-live-update"),
    ("load-preserve-context", False, "load-preserve-context"),
    ("load-jump-back-helper", False, "load-jump-back-helper"),
    ("load-live-update", False, "load-live-update"),
    ("entry", True, "entry"),
    ("type", True, "type"),
    ("load-panic", False, "load-panic"),
    ("mem-min", True, "mem-min"),
    ("mem-max", True, "mem-max"),
    ("reuseinitrd", False, "reuseinitrd"),
    ("kexec-file-syscall", False, "kexec-file-syscall"),
    ("kexec-syscall", False, "kexec-syscall"),
    ("kexec-syscall-auto", False, "kexec-syscall-auto"),
    ("debug", False, "debug"),
    ("status", False, "status"),
    ("print-ckr-size", False, "print-ckr-size"),
    ("hotplug", False, "hotplug"),
)

LOADER = (
    ("command-line", True, "append"),
    ("append", True, "append"),
    ("reuse-cmdline", False, "reuse-cmdline"),
    ("initrd", True, "initrd"),
    ("ramdisk", True, "initrd"),
    ("args-elf", False, "args-elf"),
    ("args-linux", False, "args-linux"),
    ("args-none", False, "args-none"),
    ("module", True, "module"),
    ("real-mode", False, "real-mode"),
    ("entry-32bit", False, "entry-32bit"),
    ("dtb", True, "dtb"),
)

# What kexec-tools 2.0.32 has no option for: flags of the file call, named as its developers' patches name them, the
# digest, the black box, what is unpacked before, and the watchdog.
EXTRA = (
    ("no-cma", False, "no-cma"),
    ("force-dtb", False, "force-dtb"),
    ("digest", True, "digest"),
    ("blackbox", True, "blackbox"),
    ("no-blackbox", False, "no-blackbox"),
    ("unpack", True, "unpack"),
    ("rescue", True, "rescue"),
)

# Wrong usage where no kernel is to be loaded.
LOADING_ONLY = frozenset(meaning for _, _, meaning in LOADER)

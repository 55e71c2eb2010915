"""makedumpfile's options: which are understood, which need nothing here, which are refused by name."""

from __future__ import annotations

__all__ = ["IGNORED", "LONGS", "REFUSED", "SHORT"]

SHORT = "b:cDd:eEFfg:hi:lL:pRvXx:z"

# Name, whether it takes an argument, meaning.
LONGS: tuple[tuple[str, bool, str], ...] = (
    ("split", False, "split"),
    ("reassemble", False, "reassemble"),
    ("xen-syms", True, "xen-syms"),
    ("xen-vmcoreinfo", True, "xen-vmcoreinfo"),
    ("xen_phys_start", True, "xen_phys_start"),
    ("message-level", True, "message-level"),
    ("vtop", True, "vtop"),
    ("dump-dmesg", False, "dump-dmesg"),
    ("partial-dmesg", False, "partial-dmesg"),
    ("config", True, "config"),
    ("help", False, "h"),
    ("diskset", True, "diskset"),
    ("cyclic-buffer", True, "cyclic-buffer"),
    ("eppic", True, "eppic"),
    ("non-mmap", False, "non-mmap"),
    ("mem-usage", False, "mem-usage"),
    ("splitblock-size", True, "splitblock-size"),
    ("work-dir", True, "work-dir"),
    ("num-threads", True, "num-threads"),
    ("check-params", False, "check-params"),
    ("dry-run", False, "dry-run"),
    ("show-stats", False, "show-stats"),
)

# What they are for has no counterpart here: symbols and types come from the dump, memory is bounded anyway.
IGNORED = ("b", "i", "x", "cyclic-buffer", "non-mmap", "splitblock-size", "work-dir")

REFUSED = {
    "e": "leaves out the memory map of memory that is left out, without which nothing can be read",
    "g": "makes a vmcoreinfo file of debug information; dumps of today have their own",
    "L": "limits the size of the dump: choose a dump level, or a list of levels such as -d 1,31",
    "X": "is for Xen",
    "xen-syms": "is for Xen",
    "xen-vmcoreinfo": "is for Xen",
    "xen_phys_start": "is for Xen",
    "vtop": "translates an address; `warmboot dump read` reads what is there",
    "partial-dmesg": "leaves out what was cleared; --dump-dmesg has all",
    "config": "erases kernel data by a filter",
    "eppic": "erases kernel data by a program",
    "diskset": "is for dumps by firmware (sadump)",
}

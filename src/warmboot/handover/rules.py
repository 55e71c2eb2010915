"""Why something does not survive a kexec with handover: each reason has a name, and a page of that name (explain).

What the new kernel does is read from Linux 7.2 (kernel/liveupdate, arch/x86/kernel/setup.c, mm/memblock.c), and was
seen on kernels that were built for it (tests/handover/test_pairs.py).
"""

from __future__ import annotations

from warmboot.records import dataclass

__all__ = ["RULES", "HandoverRule"]


@dataclass(frozen=True, slots=True)
class HandoverRule:
    """A reason. `new_says` is what the new kernel logs or answers, empty where it says nothing."""

    name: str
    why: str
    new_says: str
    hint: str


def _rules(*rules: HandoverRule) -> dict[str, HandoverRule]:
    return {each.name: each for each in rules}


RULES = _rules(
    HandoverRule(
        "kho_missing_old",
        "the old kernel has no KHO (CONFIG_KEXEC_HANDOVER), and so nothing to hand over",
        "",
        "boot a kernel with CONFIG_KEXEC_HANDOVER first: Fedora's, or Ubuntu's from 7.0 on; Debian's have it off",
    ),
    HandoverRule(
        "kho_missing_new",
        "the new kernel has no KHO (CONFIG_KEXEC_HANDOVER): it boots as after a plain kexec",
        "Passed KHO data, but CONFIG_KEXEC_HANDOVER not set. Ignoring.",
        "choose a new kernel with CONFIG_KEXEC_HANDOVER",
    ),
    HandoverRule(
        "kho_version",
        "the two write KHO's tree in different versions: the new kernel boots as after a plain kexec",
        "KHO: setup: handover FDT is incompatible; KHO: disabling KHO revival",
        "choose a new kernel of the same version of KHO, or plan for a cold start",
    ),
    HandoverRule(
        "kho_off_old",
        "KHO is off in the old kernel, as its command line has it",
        "",
        "boot the old kernel with kho=on",
    ),
    HandoverRule(
        "kho_off_new",
        "KHO is off in the new kernel, as its command line has it: what was preserved stays reserved, and out of reach",
        "Disabling liveupdate because KHO is disabled",
        "add kho=on to the new kernel's command line",
    ),
    HandoverRule(
        "kho_call",
        "kexec_load hands nothing over: only kexec_file_load passes KHO's tree on",
        "",
        "load it by kexec_file_load: --call kexec_file_load, or kexec -s",
    ),
    HandoverRule(
        "kho_layout",
        "both name the same version, and yet their types say that the structures differ: one of them is patched",
        "",
        "do not trust the version: take both kernels from one source, or plan for a cold start",
    ),
    HandoverRule(
        "kho_page_size",
        "the two have pages of different sizes, and KHO counts in pages",
        "",
        "choose a new kernel with the same page size",
    ),
    HandoverRule(
        "luo_missing_old",
        "the old kernel has no LUO (CONFIG_LIVEUPDATE): there is no /dev/liveupdate to make a session with",
        "",
        "boot a kernel with CONFIG_LIVEUPDATE first",
    ),
    HandoverRule(
        "luo_missing_new",
        "the new kernel has no LUO (CONFIG_LIVEUPDATE): sessions stay in memory that nobody can reach or free",
        "open /dev/liveupdate: ENOENT",
        "choose a new kernel with CONFIG_LIVEUPDATE",
    ),
    HandoverRule(
        "luo_version",
        "the two have different versions of LUO: the new kernel PANICS as it boots, even where no session was made",
        "Kernel panic: The incoming tree failed to initialize properly",
        "do not jump with liveupdate=on in the old kernel; boot it without that word, and plan for a cold start",
    ),
    HandoverRule(
        "luo_off_old",
        "LUO is off in the old kernel, as its command line has it",
        "",
        "boot the old kernel with liveupdate=on",
    ),
    HandoverRule(
        "luo_off_new",
        "LUO is off in the new kernel, as its command line has it: there is no /dev/liveupdate to get sessions from",
        "open /dev/liveupdate: ENOENT",
        "add liveupdate=on to the new kernel's command line",
    ),
    HandoverRule(
        "handler_missing_old",
        "the old kernel has no handler that preserves such files",
        "",
        "boot a kernel that has it first; for memfds that is CONFIG_LIVEUPDATE_MEMFD",
    ),
    HandoverRule(
        "handler_missing_new",
        "the new kernel has no handler for such files: it gives back no session at all where one has such a file",
        "No registered handler for compatible; open /dev/liveupdate: EIO",
        "choose a new kernel that has it; for memfds that is CONFIG_LIVEUPDATE_MEMFD",
    ),
    HandoverRule(
        "handler_version",
        "the two have different versions of this handler: the new kernel gives back no session at all where one has "
        "such a file",
        "No registered handler for compatible; open /dev/liveupdate: EIO",
        "choose a new kernel whose handler has the same version, or preserve no such file",
    ),
    HandoverRule(
        "reserve_mem_version",
        "the two describe the regions of reserve_mem= in different versions: they are allocated anew, and empty",
        "KHO: FDT 'memblock' is incompatible",
        "choose a new kernel of the same version",
    ),
)
"""Every reason by name."""

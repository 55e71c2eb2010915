"""The catalog: each rule by name, with the errno and Linux's function where it has one, and its group."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from warmboot.kernel import rules
from warmboot.kernel.rules import Rule

__all__ = ["CATALOG", "GROUPS", "Entry"]

GROUPS = ("call", "signature", "user space", "after the jump", "handover")


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule: `errno` and `source` (Linux's function) are None where no call refuses."""

    name: str
    group: str
    errno: int | None = None
    source: str | None = None


_FILE = (
    Entry("signature_rejected", "signature", errno.EKEYREJECTED, "verify_pkcs7_signature"),
    Entry("signature_unknown_key", "signature", errno.ENOKEY, "verify_pkcs7_signature"),
    Entry("signature_missing", "signature", errno.ENODATA, "verify_pefile_signature"),
    Entry("signature_damaged", "signature", errno.EBADMSG, "verify_pefile_signature"),
    Entry("signature_crypto", "signature", errno.ENOPKG, "verify_pefile_signature"),
    Entry("message_size", "signature", errno.EMSGSIZE, "verify_pkcs7_signature"),
    Entry("interrupted", "call", errno.EINTR, "kernel_read_file"),
    Entry("stale_file", "call", errno.ESTALE, "kernel_read_file"),
    Entry("not_supported", "call", errno.EOPNOTSUPP, "kexec_image_load_default"),
)
_USER = (
    *("crash_reservation_failed", "crash_reservation_missing", "crash_reservation_small", "file_type", "iomem_hidden"),
    *("memory_layout", "no_room", "packed_kernel", "wrong_architecture"),
)
_AFTER = (
    *("boot_console", "device_left_on", "digest", "efi_rsdp", "firmware_memory", "five_level", "graphics"),
    *("initrd_broken", "iommu", "memory_map", "newer_processor", "no_console", "no_init", "no_memory_after"),
    *("no_root", "page_list", "panic", "processors_stay", "silent", "slow_purgatory", "watchdog", "wrong_entry"),
)

_HANDOVER = (  # handover/rules.py
    *("handler_missing_new", "handler_missing_old", "handler_version", "kho_call", "kho_layout", "kho_missing_new"),
    *("kho_missing_old", "kho_off_new", "kho_off_old", "kho_page_size", "kho_version", "luo_missing_new"),
    *("luo_missing_old", "luo_off_new", "luo_off_old", "luo_version", "reserve_mem_version"),
)


def _kernel() -> list[Entry]:
    """All of kernel/rules.py."""
    found = [each for each in vars(rules).values() if isinstance(each, Rule)]
    return [Entry(each.name, "call", each.errno, each.source) for each in found]


CATALOG = {
    each.name: each
    for each in (
        *_kernel(),
        *_FILE,
        *(Entry(name, "user space") for name in _USER),
        *(Entry(name, "after the jump") for name in _AFTER),
        *(Entry(name, "handover") for name in _HANDOVER),
    )
}

"""What lines say: a pattern, the rule that it is a sign of, and whether that is likely or only possible.

A line may be the kernel's log, a tool's message, or the console of a boot; the first
pattern that fits counts.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["SIGNS", "Sign"]


class Sign(NamedTuple):
    """Of findings that are as sure, the one of less `weight` comes first."""

    pattern: re.Pattern[str]
    rule: str
    confidence: str
    weight: int


def _sign(rule: str, pattern: str, confidence: str = "likely", weight: int = 5) -> Sign:
    return Sign(re.compile(pattern, re.IGNORECASE), rule, confidence, weight)


SIGNS = (
    # why a call was refused, in the log
    _sign("lockdown", r"lockdown.{0,80}kexec of unsigned|kexec of unsigned images is restricted", weight=1),
    _sign("lockdown", r"lockdown: \S+ ?: (?:kexec|unsigned kexec|direct access)"),
    _sign("lockdown", r"kernel is locked down", "possible"),
    _sign(
        "kexec_load_disabled",
        r"kexec_load_disabled ?= ?1|kexec_load_disabled:? ?1|kexec loading (?:is )?disabled",
        weight=1,
    ),
    _sign("kexec_load_limit", r"kexec_load_limit_(?:reboot|panic) ?= ?0"),
    _sign(
        "signature_rejected", r"PKCS#?7 signature not signed with a trusted key|key was rejected by service", weight=1
    ),
    _sign("signature_unknown_key", r"required key not available|no key for signature|key .{0,60} not found", weight=1),
    _sign(
        "signature_missing",
        r"kernel signature verification failed \(-61\)|image is not signed",
        weight=1,
    ),
    # The kernel says this of every file without a signature, where it does not demand one too.
    _sign("signature_missing", r"PEFILE: Unsigned PE binary", "possible", 20),
    _sign("source_pages", r"kexec invoked oom-killer|kimage_alloc_(?:pages|page|normal)", weight=0),
    _sign("image_probe", r"kexec-bzImage64: Not a bzImage", weight=1),
    _sign("signature_rejected", r"kernel signature verification failed \(-129\)", weight=1),
    _sign("signature_unknown_key", r"kernel signature verification failed \(-126\)", weight=1),
    _sign(
        "signature_damaged",
        r"kernel signature verification failed \(-(?:74|80)\)|PEFILE: .{0,40}digest mismatch|sig wrapper bad",
        weight=1,
    ),
    _sign("signature_crypto", r"kernel signature verification failed \(-65\)", weight=1),
    _sign("kernel_signature", r"kernel signature verification failed|enforced kernel signature", weight=2),
    # The kernel's audit of a file that was appraised (integrity_audit_msg).
    _sign(
        "security_kernel_read_file",
        r"op=appraise_data.{0,80}cause=|cause=(?:IMA-signature-required|missing-hash|invalid-(?:hash|signature))",
        weight=1,
    ),
    _sign("security_kernel_load_data", r"ima: .{0,80}kexec|op=kexec_\w+|kexec.{0,40}(?:\bIMA\b|appraise)", weight=1),
    _sign("security_kernel_load_data", r"impossible to appraise a kernel image without a file descriptor", weight=1),
    _sign("control_pages", r"could not allocate (?:control_code_buffer|swap buffer)", weight=1),
    _sign(
        "processors_stay",
        r"disabling non-?boot CPUs.{0,40}(?:fail|error)|Error taking CPU\d+ down|Non-boot CPUs are not disabled",
        weight=1,
    ),
    _sign(
        "processors_stay",
        r"can't kexec.{0,40}CPU|cpu stuck|failed to stop secondary CPUs?|CPUs? not (?:stopped|responding)|"
        r"CPUs may be stale",
    ),
    # what a tool says before it asks
    _sign(
        "crash_reservation_failed",
        r"crashkernel reservation failed|crashkernel.{0,60}memory (?:value expected|is in use)|"
        r"cannot allocate crashkernel|crashkernel low reservation failed",
        weight=1,
    ),
    _sign(
        "crash_reservation_missing",
        r"memory for crashkernel is not reserved|no crashkernel|no memory reserved for crash|"
        r"crashkernel= .{0,40}not (?:set|found|configured)|no crash kernel memory|no reserved memory.{0,20}crash",
        weight=1,
    ),
    _sign("crash_reservation_missing", r"please reserve memory by passing .?crashkernel", weight=2),
    _sign(
        "crash_reservation_small",
        r"could not find a free area of memory.{0,80}crash|crash.{0,30}reservation.{0,20}(?:too small|insufficient)|"
        r"reserved crashkernel memory.{0,20}(?:small|less)",
        weight=1,
    ),
    _sign(
        "no_room",
        r"could not find a free area of memory|locate_hole failed|cannot find a free hole|"
        r"could not find memory for|overlapping memory segments",
        weight=2,
    ),
    _sign(
        "wrong_architecture",
        r"(?:not supported|unsupported).{0,30}architecture|unsupported architecture|"
        r"machine type .{0,20}not supported|exec format error.{0,40}arch|not a valid .{0,20}image for this arch",
        weight=1,
    ),
    _sign(
        "packed_kernel",
        r"zboot|EFI ?stub.{0,40}(?:not supported|cannot)|is (?:a )?(?:gzip|zstd|xz|lzma|lz4).{0,20}compressed",
        confidence="possible",
        weight=2,
    ),
    _sign("packed_kernel", r"\bpez_\w*(?:probe|prepare)\b|file type of \S{1,400}\.efi\b", weight=1),
    _sign("memory_layout", r"could not get memory layout|can't get the symbol of _text", weight=2),
    _sign("memory_layout", r"can't open \(?/proc/kcore", "possible", 3),
    _sign("file_type", r"cannot determine the file type of", weight=2),
    _sign(
        "cap_sys_boot",
        r"you must be root|must be run as root|are you root|need to be root",
        weight=1,
    ),
    _sign(
        "iomem_hidden",
        r"^0{8,16}-0{8,16} : (?:System RAM|Reserved)|no usable memory ranges|cannot get memory map|"
        r"no memory ranges",
        weight=1,
    ),
    _sign("config_kexec_file", r"kexec_file_load (?:is )?not available|syscall kexec_file_load.{0,20}not"),
    _sign("config_kexec", r"kexec_load (?:is )?not available|# CONFIG_KEXEC is not set", weight=1),
    _sign("nothing_loaded", r"nothing has been loaded|no kernel image loaded|kexec.{0,30}no kernel loaded", weight=1),
    # a boot that stopped
    _sign("digest", r"sha256 digests? do(?:es)? not match|purgatory.{0,60}(?:digest|sha256)", weight=0),
    _sign(
        "initrd_broken",
        r"initramfs unpacking failed|junk (?:in compressed archive|within compressed)|"
        r"initrd .{0,40}(?:truncated|extends beyond)|rootfs image is not initramfs|"
        r"invalid magic at start of compressed",
        weight=0,
    ),
    _sign(
        "no_init",
        r"no working init found|failed to execute /\S{0,60}(?:init|sh)\b|attempted to kill init|"
        r"unable to access .{0,10}/init|can't execute it .error -\d+",
        weight=2,
    ),
    _sign(
        "no_root",
        r"unable to mount root fs|cannot open root device|gave up waiting for root|"
        r"dracut.{0,40}(?:could not boot|does not exist)|ALERT! .{0,200}does not exist|unable to find root device|"
        r"waiting for device .{0,100}timed out|failed to mount .{0,80} on real root|"
        r"device '.{0,80}' not found\. skipping fsck",
        weight=1,
    ),
    _sign(
        "watchdog",
        r"watchdog.{0,60}(?:did not stop|not stopped|reset|expired|timed out)|reset by watchdog",
        confidence="possible",
        weight=2,
    ),
    _sign(
        "iommu",
        r"DMAR: ?.{0,60}fault|DMAR: .{0,60}translation (?:is )?already enabled|AMD-Vi: Completion-Wait|"
        r"IO_PAGE_FAULT|DMAR-IR: .{0,60}(?:fault|enabled)|translation is enabled .{0,20}prior",
        weight=1,
    ),
    _sign(
        "device_left_on",
        r"nobody cared|spurious interrupt|(?:controller is down; will reset|failed to reset)|"
        r"(?:firmware|adapter|device) .{0,40}(?:not respond|timed? ?out|hung)|probe of .{0,40}failed with error",
        "possible",
    ),
    _sign(
        "efi_rsdp",
        r"ACPI: .{0,60}(?:unable|not found|could not find).{0,40}(?:RSDP|root pointer)|"
        r"A valid RSDP was not found|ACPI BIOS Error.{0,60}RSDP",
        weight=0,
    ),
    _sign(
        "firmware_memory",
        r"bad page state|corrupted low memory|EFI: .{0,40}memory (?:map|attributes).{0,40}(?:corrupt|invalid)|"
        r"page table .{0,20}corrupt|memory corruption detected in low memory",
        weight=3,
    ),
    _sign("five_level", r"la57|5-level pag|five-level pag", "possible", 3),
    _sign(
        "graphics",
        r"(?:nouveau|i915|amdgpu|radeon|nvidia|efifb|simplefb|simpledrm|vesafb).{0,80}"
        r"(?:fail|error|hang|timeout|timed out|conflict)",
        confidence="possible",
        weight=3,
    ),
    _sign(
        "no_memory_after",
        r"out of memory and no killable|kernel panic - not syncing: .{0,40}out of memory|"
        r"kernel panic - not syncing: can ?not allocate (?:trampoline|SWIOTLB)|can ?not allocate SWIOTLB buffer",
        weight=0,
    ),
    _sign("no_memory_after", r"page allocation failure: order:\d+.{0,80}GFP_DMA", "possible", 3),
    _sign("luo_version", r"LUO state is incompatible with|The incoming tree failed to initialize properly", weight=0),
    _sign("panic", r"kernel panic - not syncing(?!: sysrq triggered)", "likely", 8),
    # what a kernel says that was handed over to (KHO, LUO)
    _sign("kho_missing_new", r"Passed KHO data, but CONFIG_KEXEC_HANDOVER not set", weight=0),
    _sign("kho_version", r"handover FDT .{0,40}is incompatible with|disabling KHO revival", weight=0),
    _sign("kho_off_new", r"Disabling liveupdate because KHO is disabled", weight=0),
    _sign("kho_off_old", r"Failed to reserve scratch area, disabling kexec handover", weight=0),
    _sign("handler_version", r"No registered handler for compatible", weight=0),
    _sign("reserve_mem_version", r"FDT 'memblock' is incompatible with", weight=0),
    # people's own words; a pattern that looks ahead begins at the line's start, or it does so at each character
    _sign("graphics", r"^(?=.*\b(?:screen|display|monitor)\b)(?=.*\b(?:ssh|pings?)\b)", "possible", 2),
    _sign("boot_console", r"bootconsole \[\S{1,40}\] disabled", "possible", 9),
    _sign("silent", r"starting new kernel|kexec_core: starting|\bbye!$|I'm in purgatory", "possible", 9),
)

"""Failures as people report them: what they paste, the machine where it matters, and the rule that it was."""

from __future__ import annotations

from dataclasses import dataclass, replace

from warmboot.memmap import Facts

__all__ = ["REPORTS", "Report", "failed"]

GIB = 1 << 30


@dataclass(frozen=True)
class Report:
    """`sure` is the confidence that the first finding must have."""

    name: str
    text: str
    rule: str
    sure: str
    facts: Facts | None = None


def failed(error: str, *segments: tuple[int, int, int], entry: int = 0x3FFDD730, flags: int = 0x3E0000) -> str:
    """What kexec prints: each segment is bufsz, mem, memsz."""
    lines = [
        f"kexec_load failed: {error}",
        f"entry       = {entry:#x} flags = {flags:#x}",
        f"nr_segments = {len(segments)}",
    ]
    for number, (bufsz, mem, memsz) in enumerate(segments):
        lines += [
            f"segment[{number}].buf   = 0x55d0c0{number:02x}4a10",
            f"segment[{number}].bufsz = {bufsz:#x}",
            f"segment[{number}].mem   = {mem:#x}",
            f"segment[{number}].memsz = {memsz:#x}",
        ]
    return "\n".join(lines) + "\n"


SMALL = Facts.of_pc(GIB)
CRASH = Facts.of_pc(2 * GIB, crashkernel=128 << 20)
KERNEL = (0x6F8000, 0x1000000, 0x1B31000)
PURGATORY = (0x70E0, 0x3FFD7000, 0xB000)
BIG = (0x21000000, 0x4000000, 0x21000000)
NO_ADDRESS = "Cannot assign requested address"
AT = "Nov 11 09:13:02 node7 kernel: "


REPORTS = [
    Report(
        "live image in memory",
        "# kexec -l vmlinuz --initrd=live.img\n" + failed("Invalid argument", PURGATORY, KERNEL, BIG),
        "half_of_memory",
        "certain",
        SMALL,
    ),
    Report(
        "quoted in a mail",
        "".join(f"> {each}\n" for each in failed("Invalid argument", KERNEL, BIG).splitlines()),
        "half_of_memory",
        "certain",
        SMALL,
    ),
    Report(
        "from the journal",
        "".join(
            f"Nov 11 09:13:02 node7 kexec[811]: {each}\n"
            for each in failed("Invalid argument", KERNEL, BIG).splitlines()
        ),
        "half_of_memory",
        "certain",
        SMALL,
    ),
    Report(
        "colours and carriage returns",
        "\x1b[31m" + failed("Invalid argument", KERNEL, BIG).replace("\n", "\x1b[0m\r\n"),
        "half_of_memory",
        "certain",
        SMALL,
    ),
    Report("own loader, pages of 64 KiB", failed(NO_ADDRESS, (0x100, 0x1000800, 0x1000)), "page_alignment", "certain"),
    Report(
        "kernel over initrd", failed("Invalid argument", KERNEL, (0x800000, 0x2000000, 0x800000)), "overlap", "certain"
    ),
    Report("bss forgotten", failed("Invalid argument", (0x3000, 0x1000000, 0x2000)), "buffer_size", "certain"),
    Report("numbers that wrap", failed(NO_ADDRESS, (0, 0xFFFFFFFFFFFFF000, 0x2000)), "segment_wraps", "certain"),
    Report(
        "crash kernel without a reservation",
        failed(NO_ADDRESS, KERNEL, flags=0x3E0001, entry=0x1000000),
        "crash_entry",
        "certain",
        SMALL,
    ),
    Report(
        "crash kernel beside its reservation",
        failed(NO_ADDRESS, KERNEL, flags=0x3E0001, entry=CRASH.crash_kernel[0].start),
        "crash_range",
        "certain",
        CRASH,
    ),
    Report(
        "modules of a hypervisor",
        failed("Invalid argument", *((16, 0x1000000 + n * 4096, 4096) for n in range(17))),
        "segment_count",
        "certain",
    ),
    Report(
        "strace",
        "kexec_load(0x1000000, 1, [{buf=0x7f12, bufsz=300, mem=0x1000100, memsz=4096}], "
        "KEXEC_ARCH_X86_64) = -1 EADDRNOTAVAIL (Cannot assign requested address)\n",
        "page_alignment",
        "certain",
    ),
    Report(
        "Secure Boot",
        f"kexec_load failed: Operation not permitted\n{AT}Lockdown: kexec: kexec of unsigned images is "
        f"restricted; see man kernel_lockdown.7\n",
        "lockdown",
        "likely",
    ),
    Report(
        "Secure Boot, facts alone",
        "kexec -c -l vmlinuz\nkexec_load failed: Operation not permitted\n",
        "lockdown",
        "likely",
        replace(SMALL, lockdown="none [integrity] confidentiality"),
    ),
    Report(
        "hardened",
        "kexec_load failed: Operation not permitted\n",
        "kexec_load_disabled",
        "likely",
        replace(SMALL, kexec_load_disabled=True),
    ),
    Report(
        "limit used up",
        "kexec -c -l vmlinuz\nkexec_load failed: Operation not permitted\n",
        "kexec_load_limit",
        "likely",
        replace(SMALL, kexec_load_limit_reboot=0),
    ),
    Report("no root", "$ kexec -l vmlinuz\nkexec_load failed: Operation not permitted\n", "cap_sys_boot", "possible"),
    Report(
        "own kernel, other key",
        f"kexec_file_load failed: Key was rejected by service\n{AT}PKCS#7 signature not signed with a trusted key\n",
        "signature_rejected",
        "likely",
    ),
    Report(
        "key is not enrolled", "kexec_file_load failed: Required key not available\n", "signature_unknown_key", "likely"
    ),
    Report(
        "unsigned", "# kexec -s -l bzImage\nkexec_file_load failed: No data available\n", "signature_missing", "likely"
    ),
    Report("stripped", "kexec_file_load failed: Bad message\n", "signature_damaged", "likely"),
    Report(
        "vmlinux by file",
        "# kexec -s -l vmlinux\nkexec_file_load failed: Exec format error\n",
        "image_probe",
        "possible",
    ),
    Report("container", "kexec_load failed: Function not implemented\n", "config_kexec", "likely"),
    Report("two at once", "kexec_load failed: Device or resource busy\n", "kexec_trylock", "possible"),
    Report("wrapped by a terminal", "kexec_file_load failed: Text file\nbusy\n", "file_writers", "likely"),
    Report("arm64 EFI image", "Cannot determine the file type of /boot/vmlinuz-6.5\n", "file_type", "likely"),
    Report(
        "kdump after an upgrade",
        "kdump-config: Memory for crashkernel is not reserved\nPlease reserve memory by passing crashkernel=X@Y\n",
        "crash_reservation_missing",
        "likely",
    ),
    Report(
        "kdumpctl",
        "Nov 11 09:13:02 node7 kdumpctl[900]: kdump: No memory reserved for crash kernel\nkdump: "
        "Starting kdump: [FAILED]\n",
        "crash_reservation_missing",
        "likely",
    ),
    Report(
        "fixed offset",
        f"{AT}crashkernel reservation failed - memory is in use.\n",
        "crash_reservation_failed",
        "likely",
    ),
    Report(
        "grown initrd",
        "Could not find a free area of memory of 0x2a7c000 bytes...\nlocate_hole failed\n",
        "no_room",
        "likely",
    ),
    Report("as a user", "00000000-00000000 : System RAM\n00000000-00000000 : Reserved\n", "iomem_hidden", "likely"),
    Report(
        "full of images",
        f"kexec_load failed: Cannot allocate memory\n{AT}Could not allocate control_code_buffer\n",
        "control_pages",
        "likely",
    ),
    Report(
        "no initrd given",
        '[    1.7] VFS: Cannot open root device "UUID=1f" or unknown-block(0,0): error -6\n[    1.7] '
        "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n",
        "no_root",
        "likely",
    ),
    Report(
        "cut initrd",
        "[    0.9] Initramfs unpacking failed: ZSTD-compressed data is corrupt\n[    1.4] Kernel panic "
        "- not syncing: VFS: Unable to mount root fs\n",
        "initrd_broken",
        "likely",
    ),
    Report(
        "no shell in it",
        "[    1.1] Failed to execute /init (error -2)\n[    1.1] Kernel panic - not syncing: No working init found.\n",
        "no_init",
        "likely",
    ),
    Report(
        "IOMMU in the crash kernel",
        "[   12.2] kexec_core: Starting new kernel\n[    0.0] Linux version 6.1\n[    0.3] x\n[    0.4] "
        "DMAR: [DMA Read] Request device [03:00.0] fault addr 0x7c\n",
        "iommu",
        "likely",
    ),
    Report("digest", "I'm in purgatory\nsha256 digests do not match :(\n", "digest", "likely"),
    Report(
        "the console after the early one",
        "[  301.2] kexec_core: Starting new kernel\n[    0.0] Linux version 6.12\n"
        "[    0.1] Command line: console=ttyS1\n[    0.2] printk: legacy bootconsole [earlyser0] disabled\n",
        "boot_console",
        "possible",
    ),
    Report("dark", "[  301.2] kexec_core: Starting new kernel\n", "silent", "possible"),
    Report(
        "small reservation",
        "[    3.3] Kernel panic - not syncing: Out of memory and no killable processes...\n",
        "no_memory_after",
        "likely",
    ),
    Report(
        "no tables",
        "[    0.01] ACPI BIOS Error (bug): A valid RSDP was not found (20220331/tbxfroot-210)\n",
        "efi_rsdp",
        "likely",
    ),
]

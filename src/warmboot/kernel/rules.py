"""The rules by which the kernel refuses an image: each has a name, the errno that Linux gives, and what helps."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from warmboot.errors import RefusedError
from warmboot.records import dataclass
from warmboot.uapi import Segment

__all__ = ["KexecError", "Rule"]


class KexecError(RefusedError):
    """A refusal by the kernel: the errno that Linux returns, and the reason that it does not tell.

    `errno` is positive, or the negative of what Linux returns where that is no errno; `segment` is an index into
    the request, or None; `addresses` are the physical addresses or numbers that broke the rule.
    """

    def __init__(
        self,
        rule: Rule,
        message: str,
        *,
        segment: int | None = None,
        addresses: tuple[int, ...] = (),
        number: int = 0,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint or rule.hint)
        self.rule = rule
        self.errno: int = number or rule.errno
        self.segment = segment
        self.addresses = addresses

    def told(self, segments: Sequence[Segment]) -> str:
        """The message, with what the segment is that broke the rule: the kernel knows segments by number alone."""
        if self.segment is None or self.segment >= len(segments):
            return str(self)
        number = f"segment {self.segment}"
        return str(self).replace(number, f"{number} ({segments[self.segment].name})", 1)

    @property
    def errno_name(self) -> str:
        """The errno's name, such as EINVAL."""
        return errno.errorcode.get(self.errno, str(self.errno))


@dataclass(frozen=True, slots=True)
class Rule:
    """One check; `source` is the function of Linux that makes it."""

    name: str
    errno: int
    source: str
    hint: str

    def refuse(
        self,
        message: str,
        *,
        segment: int | None = None,
        addresses: tuple[int, ...] = (),
        number: int = 0,
        hint: str = "",
    ) -> KexecError:
        """The error to raise where the rule is broken; `number` replaces the errno, and `hint` the rule's own."""
        return KexecError(self, message, segment=segment, addresses=addresses, number=number, hint=hint)


# What helps where a crash image does not fit its reservation.
CRASH_ROOM = "reserve more for crash kernels by crashkernel= on the running kernel's command line, or load less"
# Where an image does not fit KHO's scratch memory.
SCRATCH_ROOM = "let KHO reserve more by kho_scratch= on the running kernel's command line, or use a smaller initrd"
# And where a locked-down kernel should unload.
UNLOAD_BY_FILE = "unload by kexec_file_load (kexec -s -u): lockdown forbids kexec_load whatever it is asked for"

# whether the calls are there at all
CONFIG_KEXEC = Rule(
    "config_kexec",
    errno.ENOSYS,
    "sys_ni_syscall",
    "run a kernel that was built with CONFIG_KEXEC, or load by kexec_file_load where this one has that call",
)
CONFIG_KEXEC_FILE = Rule(
    "config_kexec_file",
    errno.ENOSYS,
    "sys_ni_syscall",
    "run a kernel that was built with CONFIG_KEXEC_FILE, or load by kexec_load where this one has that call",
)

# kexec_load_check, in the kernel's order
CAP_SYS_BOOT = Rule("cap_sys_boot", errno.EPERM, "kexec_load_permitted", "run it as root, or with CAP_SYS_BOOT")
LOAD_DISABLED = Rule(
    "kexec_load_disabled",
    errno.EPERM,
    "kexec_load_permitted",
    "load before kernel.kexec_load_disabled is set, as it cannot be set back; or reboot by firmware",
)
LOAD_LIMIT = Rule(
    "kexec_load_limit",
    errno.EPERM,
    "kexec_load_permitted",
    "load before the limit is used up, as it cannot be raised; or reboot by firmware",
)
LSM = Rule(
    "security_kernel_load_data",
    errno.EACCES,
    "kexec_load_check",
    "a security module or IMA wants a signed file: use kexec_file_load with a signed kernel",
)
LOCKDOWN = Rule(
    "lockdown",
    errno.EPERM,
    "kexec_load_check",
    "the kernel is locked down, often by Secure Boot: use kexec_file_load with a signed kernel",
)
LEGAL_FLAGS = Rule("legal_flags", errno.EINVAL, "kexec_load_check", "leave out the flags that this release lacks")
SEGMENT_COUNT = Rule("segment_count", errno.EINVAL, "kexec_load_check", "join segments: at most 16 are allowed")

# the two entries
ARCHITECTURE = Rule(
    "architecture", errno.EINVAL, "kexec_load", "load an image for the architecture of the running kernel"
)
SEGMENT_TABLE = Rule(
    "segment_table", errno.EFAULT, "kexec_load", "the address of the segment array must be readable as a whole"
)

# do_kexec_load and kimage_alloc_init
LOCK = Rule("kexec_trylock", errno.EBUSY, "do_kexec_load", "another load or kexec is under way: try again")
CRASH_ENTRY = Rule(
    "crash_entry",
    errno.EADDRNOTAVAIL,
    "kimage_alloc_init",
    "place the entry point inside the crash reservation; without one boot with crashkernel=",
)
CONTROL_PAGES = Rule(
    "control_pages",
    errno.ENOMEM,
    "kimage_alloc_control_pages",
    "free some memory",
)
SWAP_PAGE = Rule("swap_page", errno.ENOMEM, "kimage_alloc_init", "free some memory")

# sanity_check_segment_list, in order
SEGMENT_WRAPS = Rule(
    "segment_wraps", errno.EADDRNOTAVAIL, "sanity_check_segment_list", "mem + memsz must not pass the last address"
)
PAGE_ALIGNMENT = Rule(
    "page_alignment",
    errno.EADDRNOTAVAIL,
    "sanity_check_segment_list",
    "mem and memsz must be whole pages of 4096 bytes",
)
DESTINATION_LIMIT = Rule(
    "destination_limit",
    errno.EADDRNOTAVAIL,
    "sanity_check_segment_list",
    "place it below the processor's physical limit",
)
OVERLAP = Rule("overlap", errno.EINVAL, "sanity_check_segment_list", "give every segment a range of its own")
BUFFER_SIZE = Rule("buffer_size", errno.EINVAL, "sanity_check_segment_list", "bufsz must not be larger than memsz")
HALF_OF_MEMORY = Rule(
    "half_of_memory",
    errno.EINVAL,
    "sanity_check_segment_list",
    "one image may take half of RAM at most: use a smaller initrd, or a larger machine",
)
CRASH_RANGE = Rule(
    "crash_range",
    errno.EADDRNOTAVAIL,
    "sanity_check_segment_list",
    "every segment must lie inside the crash reservation (see 'Crash kernel' in /proc/iomem)",
)

# loading
PAGE_TABLES = Rule("page_tables", errno.ENOMEM, "machine_kexec_prepare", "free some memory")
VMCOREINFO = Rule("vmcoreinfo", errno.ENOMEM, "kimage_crash_copy_vmcoreinfo", CRASH_ROOM)
SOURCE_PAGES = Rule("source_pages", errno.ENOMEM, "kimage_load_segment", "free some memory, or use a smaller initrd")
SOURCE_FAULT = Rule("source_buffer", errno.EFAULT, "kimage_load_segment", "buf must be readable for bufsz bytes")

# starting what was loaded
NOTHING_LOADED = Rule("nothing_loaded", errno.EINVAL, "kernel_kexec", "load a kernel first")

# the crash reservation and the sysctls
CRASH_IMAGE_LOADED = Rule(
    "crash_image_loaded", errno.ENOENT, "crash_shrink_memory", "unload the crash image before its reservation shrinks"
)
CRASH_SIZE = Rule("crash_size", errno.EINVAL, "crash_shrink_memory", "a reservation can only shrink")
CRASH_SIZE_TEXT = Rule(
    "crash_size_text", errno.EINVAL, "kexec_crash_size_store", "write a number of bytes: decimal, or 0x and hexadecimal"
)
SYSCTL_VALUE = Rule("sysctl_value", errno.EINVAL, "kexec_limit_handler", "limits only count down; disabled is only set")
SYSCTL_NAME = Rule("sysctl_name", errno.ENOENT, "proc_sys", "this release has no such sysctl")

# kexec_file_load, in the kernel's order
FILE_FLAGS = Rule("file_flags", errno.EINVAL, "kexec_file_load", "leave out the flags that this release lacks")
FILE_DESCRIPTOR = Rule(
    "file_descriptor", errno.EBADF, "kernel_read_file_from_fd", "open the kernel and the initrd for reading"
)
FILE_REGULAR = Rule(
    "file_regular", errno.EINVAL, "kernel_read_file", "give regular files: it reads no pipes, devices or folders"
)
FILE_WRITERS = Rule(
    "file_writers",
    errno.ETXTBSY,
    "deny_write_access",
    "wait until nobody has the file open for writing ('fuser -v FILE' tells who has), or copy it",
)
FILE_EMPTY = Rule("file_empty", errno.EINVAL, "kernel_read_file", "give a file that is not empty")
FILE_SIZE = Rule(
    "file_size",
    errno.EFBIG,
    "kernel_read_file",
    "use a smaller file, or kexec_load (kexec -c), which has no such limit",
)
FILE_APPRAISED = Rule(
    "security_kernel_read_file",
    errno.EACCES,
    "kernel_read_file",
    "sign the file for IMA ('evmctl ima_sign --key KEY FILE') with a key of .ima or .platform, which keeps it in the"
    " file's security.ima; copies lose that unless they keep extended attributes",
)
FILE_MEMORY = Rule("file_memory", errno.ENOMEM, "kernel_read_file", "use a smaller file, or a larger machine")
FILE_IO = Rule(
    "file_io",
    errno.EIO,
    "kernel_read_file",
    "copy the file: one of sysfs, or one that is cut while it is read, has fewer bytes than its size says",
)
IMAGE = Rule(
    "image_probe",
    errno.ENOEXEC,
    "arch_kexec_kernel_image_probe",
    "kexec_file_load takes a 64-bit bzImage only: give one, or use kexec_load (kexec -c)",
)
SIGNATURE = Rule(
    "kernel_signature",
    errno.EPERM,
    "kimage_validate_signature",
    "give a kernel signed by a key that the running kernel trusts (/proc/keys: .builtin_trusted_keys, .platform)",
)
COMMAND_LINE_MEMORY = Rule(
    "command_line_memory", errno.ENOMEM, "memdup_user", "make the command line shorter: kernels take 2048 bytes"
)
COMMAND_LINE_END = Rule(
    "command_line_end", errno.EINVAL, "kimage_file_prepare_segments", "the command line must end with a zero byte"
)
COMMAND_LINE = Rule(
    "command_line_length", errno.EINVAL, "bzImage64_load", "make the command line shorter, or take a newer kernel"
)
TRUNCATED = Rule("image_truncated", errno.ENOEXEC, "bzImage64_load", "copy or download the kernel file again")
HOLE = Rule("memory_hole", errno.EADDRNOTAVAIL, "kexec_locate_mem_hole", "use a smaller initrd, or a larger machine")

CALL_RULES = (CONFIG_KEXEC, CONFIG_KEXEC_FILE)
READ_RULES = (
    FILE_DESCRIPTOR,
    FILE_REGULAR,
    FILE_WRITERS,
    FILE_EMPTY,
    FILE_SIZE,
    FILE_APPRAISED,
    FILE_MEMORY,
    FILE_IO,
)
FILE_RULES = (
    FILE_FLAGS,
    *READ_RULES,
    IMAGE,
    SIGNATURE,
    COMMAND_LINE_MEMORY,
    COMMAND_LINE_END,
    TRUNCATED,
    COMMAND_LINE,
    HOLE,
)

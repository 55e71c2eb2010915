"""What /dev/liveupdate and its sessions refuse: each check with its errno, Linux's function and a remedy (7.2)."""

from __future__ import annotations

import errno

from warmboot.kernel.rules import Rule

__all__ = [
    "BAD_DESCRIPTOR",
    "DESERIALIZED",
    "FAULT",
    "FILES_FULL",
    "FILE_TOKEN",
    "FILE_TWICE",
    "IN_USE",
    "IOCTL_NUMBER",
    "IOCTL_RANGE",
    "MEMFD_HUGE",
    "MEMFD_MEMORY",
    "MEMFD_SEALS",
    "NO_DEVICE",
    "NO_HANDLER",
    "OPEN_FILES",
    "RESERVED",
    "SESSIONS_FULL",
    "SESSION_EXISTS",
    "SESSION_KIND",
    "SESSION_NAME",
    "SESSION_RETRIEVED",
    "SESSION_UNKNOWN",
    "SIZE_LARGE",
    "SIZE_SMALL",
    "TOKEN_EXISTS",
]

# /dev/liveupdate
NO_DEVICE = Rule(
    "luo_no_device",
    errno.ENOENT,
    "liveupdate_ioctl_init",
    "boot with kho=on liveupdate=on a kernel that was built with CONFIG_LIVEUPDATE",
)
IN_USE = Rule(
    "luo_in_use",
    errno.EBUSY,
    "luo_open",
    "one process has /dev/liveupdate open, and no second one can: ask that one, or end it",
)
DESERIALIZED = Rule(
    "luo_deserialized",
    errno.EIO,
    "luo_open",
    "what the kernel before left could not be read; the kernel's log says what. Nothing takes that back but a reboot",
)
# every ioctl
IOCTL_RANGE = Rule(
    "luo_ioctl_range",
    errno.EINVAL,
    "luo_ioctl, luo_session_ioctl",
    "ask the device for sessions, and sessions for files",
)
IOCTL_NUMBER = Rule(
    "luo_ioctl_number",
    errno.ENOTTY,
    "luo_ioctl, luo_session_ioctl",
    "use the numbers of <linux/liveupdate.h>; a newer kernel may have more of them",
)
FAULT = Rule("luo_fault", errno.EFAULT, "copy_struct_from_user, luo_ucmd_respond", "give memory that can be written")
SIZE_SMALL = Rule(
    "luo_size_small", errno.EINVAL, "luo_ioctl, luo_session_ioctl", "write sizeof the structure into its first field"
)
SIZE_LARGE = Rule(
    "luo_size_large",
    errno.E2BIG,
    "copy_struct_from_user",
    "the program is made for a newer kernel: what this one does not know must be zero",
)
RESERVED = Rule("luo_reserved", errno.EINVAL, "luo_session_finish, luo_session_get_name", "clear the reserved field")
OPEN_FILES = Rule(
    "luo_open_files", errno.EMFILE, "get_unused_fd_flags", "close descriptors, or raise the limit (ulimit -n)"
)
# sessions
SESSION_NAME = Rule("luo_session_name", errno.EINVAL, "luo_session_create", "name the session in 1 to 63 bytes")
SESSION_EXISTS = Rule(
    "luo_session_exists",
    errno.EEXIST,
    "luo_session_insert",
    "a session of that name is open: use another name, or close the other's descriptor",
)
SESSIONS_FULL = Rule("luo_sessions_full", errno.ENOSPC, "kho_block_add", "close sessions that are not needed")
SESSION_UNKNOWN = Rule(
    "luo_session_unknown",
    errno.ENOENT,
    "luo_session_retrieve",
    "the kernel before left no session of that name, or it was closed since: start without it",
)
SESSION_RETRIEVED = Rule(
    "luo_session_retrieved",
    errno.EINVAL,
    "luo_session_retrieve",
    "the session was retrieved before, and its descriptor is still open: ask who has it",
)
SESSION_KIND = Rule(
    "luo_session_kind",
    errno.EINVAL,
    "luo_ioctl_type_valid",
    "preserve in a session that was created, retrieve and finish in one that was retrieved",
)
# files
TOKEN_EXISTS = Rule(
    "luo_token_exists", errno.EEXIST, "luo_preserve_file", "the session has a file of that token: use another"
)
FILES_FULL = Rule("luo_files_full", errno.ENOSPC, "kho_block_add", "use more sessions")
BAD_DESCRIPTOR = Rule("luo_bad_descriptor", errno.EBADF, "fget", "give a descriptor that is open")
NO_HANDLER = Rule(
    "luo_no_handler",
    errno.ENOENT,
    "luo_preserve_file",
    "only memfds can be preserved, none of huge pages (CONFIG_LIVEUPDATE_MEMFD): keep the state in one",
)
FILE_TWICE = Rule(
    "luo_file_twice",
    errno.EBUSY,
    "luo_preserve_file",
    "the file is in a session already, by this descriptor or another: close that session first",
)
FILE_TOKEN = Rule(
    "luo_file_token",
    errno.ENOENT,
    "luo_retrieve_file",
    "the session has no file of that token: none was preserved by it, or the session is finished",
)
MEMFD_SEALS = Rule(
    "luo_memfd_seals", errno.EOPNOTSUPP, "memfd_luo_preserve, memfd_luo_retrieve", "do not use seals that are newer"
)
MEMFD_HUGE = Rule("luo_memfd_huge", errno.EFBIG, "memfd_luo_preserve", "keep the state in memfds below 16 TiB")
MEMFD_MEMORY = Rule(
    "luo_memfd_memory",
    errno.ENOMEM,
    "memfd_luo_preserve_folios",
    "the file has more pages than memory holds pointers to, holes included: make it smaller",
)

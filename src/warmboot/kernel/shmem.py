"""Files in memory without a name: what memfd_create makes, or tmpfs where a file is unlinked (mm/shmem.c, mm/memfd.c).

Contents are kept a page at a time, as they are written: holes take nothing.
"""

from __future__ import annotations

import errno

from warmboot.kernel.fdtable import FdTable, File
from warmboot.kernel.rules import KexecError, Rule
from warmboot.uapi import PAGE_SIZE

__all__ = [
    "F_ALL_SEALS",
    "F_SEAL_EXEC",
    "F_SEAL_FUTURE_WRITE",
    "F_SEAL_GROW",
    "F_SEAL_SEAL",
    "F_SEAL_SHRINK",
    "F_SEAL_WRITE",
    "MFD_ALLOW_SEALING",
    "MFD_CLOEXEC",
    "MFD_EXEC",
    "MFD_HUGETLB",
    "MFD_NOEXEC_SEAL",
    "ShmemFile",
    "ShmemInode",
    "memfd_add_seals",
    "memfd_create",
    "shmem_truncate",
    "shmem_write",
]

F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, F_SEAL_EXEC = 1, 2, 4, 8, 16, 32
F_ALL_SEALS = 63
_WRITE_SEALS = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB, MFD_NOEXEC_SEAL, MFD_EXEC = 1, 2, 4, 8, 16
_MFD_ALL_FLAGS = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_NOEXEC_SEAL | MFD_EXEC
_HUGE_SIZE = 0x3F << 26
_MFD_NAME_MAX_LEN = 249  # bytes
_S_IXUGO = 0o111
_LARGEST = (1 << 63) - 1  # bytes: MAX_LFS_FILESIZE

MEMFD_FLAGS = Rule("memfd_flags", errno.EINVAL, "sanitize_flags", "use the flags of <linux/memfd.h>")
MEMFD_NAME = Rule("memfd_name", errno.EINVAL, "alloc_name", f"name it in at most {_MFD_NAME_MAX_LEN} bytes")
MEMFD_HUGETLB = Rule("memfd_hugetlb", errno.ENOSYS, "hugetlb_file_setup", "use a kernel with CONFIG_HUGETLBFS")
SEALED = Rule("shmem_sealed", errno.EPERM, "shmem_setattr, shmem_write_begin", "a seal forbids it, for good")
FROZEN = Rule(
    "shmem_frozen",
    errno.EPERM,
    "shmem_setattr, shmem_write_begin",
    "the file is preserved for a live update, and keeps its size: close the session to change it",
)
SEAL_UNKNOWN = Rule("memfd_seal_unknown", errno.EINVAL, "memfd_add_seals", "use the seals of <linux/fcntl.h>")
SEAL_SEALED = Rule("memfd_seal_sealed", errno.EPERM, "memfd_add_seals", "create it with MFD_ALLOW_SEALING")
SEAL_PINNED = Rule(
    "memfd_seal_pinned",
    errno.EBUSY,
    "memfd_wait_for_pins",
    "a file that is preserved has its pages pinned: seal it against writing before it is preserved",
)
NOT_WRITABLE = Rule("file_not_writable", errno.EINVAL, "do_ftruncate", "open it for writing")


class ShmemInode:
    """The file itself, whatever descriptors there are."""

    def __init__(self, mode: int, seals: int) -> None:
        self.mode = mode
        self.seals = seals
        self.size: int = 0  # bytes
        self.frozen: bool = False  # SHMEM_F_MAPPING_FROZEN
        self.pinned: bool = False  # its pages are
        self.pages: dict[int, bytearray] = {}

    def read(self, offset: int, size: int) -> bytes:
        """What lies there, up to the end of the file."""
        end = min(offset + size, self.size)
        found = bytearray(max(0, end - offset))
        for index in range(offset // PAGE_SIZE, -(-end // PAGE_SIZE)):
            page = self.pages.get(index)
            if page is not None:
                start = index * PAGE_SIZE
                low, high = max(start, offset), min(start + PAGE_SIZE, end)
                found[low - offset : high - offset] = page[low - start : high - start]
        return bytes(found)


class ShmemFile(File):
    """An open one."""

    def __init__(self, inode: ShmemInode, *, writable: bool = True) -> None:
        super().__init__(writable=writable)
        self.inode = inode
        self.position: int = 0


def memfd_create(name: bytes, flags: int, fds: FdTable) -> int:
    """memfd_create(2): the descriptor. Raises KexecError.

    vm.memfd_noexec is taken to be 0, and hugetlbfs not to be there.
    """
    known = _MFD_ALL_FLAGS | (_HUGE_SIZE if flags & MFD_HUGETLB else 0)
    if flags & ~known:
        raise MEMFD_FLAGS.refuse(f"flags {flags & ~known:#x} are not known", addresses=(flags,))
    if flags & MFD_EXEC and flags & MFD_NOEXEC_SEAL:
        raise MEMFD_FLAGS.refuse("MFD_EXEC and MFD_NOEXEC_SEAL exclude each other", addresses=(flags,))
    if len(name) > _MFD_NAME_MAX_LEN:
        raise MEMFD_NAME.refuse(f"the name has {len(name)} bytes")
    fd = fds.get_unused_fd()
    if flags & MFD_HUGETLB:
        raise MEMFD_HUGETLB.refuse("huge pages are asked for, and the kernel has no hugetlbfs")
    fds.install(fd, memfd_alloc_file(flags))
    return fd


def memfd_alloc_file(flags: int) -> ShmemFile:
    """A new file; its seals are those that the flags leave it."""
    if flags & MFD_NOEXEC_SEAL:
        return ShmemFile(ShmemInode(0o777 & ~_S_IXUGO, F_SEAL_EXEC))
    return ShmemFile(ShmemInode(0o777, 0 if flags & MFD_ALLOW_SEALING else F_SEAL_SEAL))


def memfd_add_seals(file: ShmemFile, seals: int) -> None:
    """fcntl's F_ADD_SEALS. Raises KexecError."""
    inode = file.inode
    if not file.writable:
        raise SEAL_SEALED.refuse("the file is not open for writing")
    if seals & ~F_ALL_SEALS:
        raise SEAL_UNKNOWN.refuse(f"seals {seals & ~F_ALL_SEALS:#x} are not known", addresses=(seals,))
    if inode.seals & F_SEAL_SEAL:
        raise SEAL_SEALED.refuse("the file takes no more seals")
    if seals & F_SEAL_EXEC and inode.mode & _S_IXUGO:
        seals |= F_SEAL_SHRINK | F_SEAL_GROW | _WRITE_SEALS
    if seals & F_SEAL_WRITE and not inode.seals & F_SEAL_WRITE and inode.pinned:
        raise SEAL_PINNED.refuse("the file's pages are pinned")
    inode.seals |= seals


def shmem_truncate(file: ShmemFile, size: int) -> None:
    """ftruncate(2) to `size` bytes. Raises KexecError."""
    inode = file.inode
    if not file.writable:
        raise NOT_WRITABLE.refuse("the file is not open for writing")
    if (size < inode.size and inode.seals & F_SEAL_SHRINK) or (size > inode.size and inode.seals & F_SEAL_GROW):
        raise SEALED.refuse(f"sealed against {'shrinking' if size < inode.size else 'growing'}")
    if size != inode.size and inode.frozen:
        raise FROZEN.refuse(f"the file keeps its {inode.size} bytes")
    if size < inode.size:
        last, rest = divmod(size, PAGE_SIZE)
        for index in [each for each in inode.pages if each >= last + bool(rest)]:
            del inode.pages[index]
        if rest and last in inode.pages:
            inode.pages[last][rest:] = bytes(PAGE_SIZE - rest)
    inode.size = size


def shmem_write(file: ShmemFile, data: bytes, offset: int) -> int:
    """pwrite(2), page by page: how many bytes were written. Raises KexecError where the first page refuses."""
    inode = file.inode
    done = 0
    while done < len(data):
        index, start = divmod(offset + done, PAGE_SIZE)
        piece = data[done : done + PAGE_SIZE - start]
        end = offset + done + len(piece)
        try:
            if inode.seals & _WRITE_SEALS or (inode.seals & F_SEAL_GROW and end > inode.size):
                raise SEALED.refuse("sealed against writing there")
            if inode.frozen and end > inode.size:
                raise FROZEN.refuse(f"the file keeps its {inode.size} bytes")
        except KexecError:
            if done:
                return done
            raise
        inode.pages.setdefault(index, bytearray(PAGE_SIZE))[start : start + len(piece)] = piece
        inode.size = max(inode.size, end)
        done += len(piece)
    return done

"""The page of a black box in /dev/mem, which shows root what is not the kernel's own RAM; lockdown forbids it."""

from __future__ import annotations

import errno
import mmap
import os

from warmboot.live.files import under
from warmboot.purgatory.record import BOX_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DEV_MEM", "read_page", "write_page"]

DEV_MEM = "dev/mem"


def read_page(address: int, root: str = "/") -> bytes:
    """A copy of the page at this physical address. Raises OSError."""
    with _mapped(address, root, os.O_RDONLY, mmap.PROT_READ) as page:
        return bytes(page)


def write_page(address: int, pieces: Iterable[tuple[int, bytes]], root: str = "/") -> None:
    """Write (offset, bytes) into the page at this physical address. Raises OSError."""
    with _mapped(address, root, os.O_RDWR, mmap.PROT_READ | mmap.PROT_WRITE) as page:
        for offset, data in pieces:
            page[offset : offset + len(data)] = data


def _mapped(address: int, root: str, mode: int, protection: int) -> mmap.mmap:
    """O_SYNC has it mapped uncached, so that what is written is in memory at once."""
    fd = os.open(under(root, DEV_MEM), mode | os.O_SYNC | os.O_CLOEXEC)
    try:
        return mmap.mmap(fd, BOX_SIZE, mmap.MAP_SHARED, protection, offset=address & -BOX_SIZE)
    except (ValueError, OverflowError):  # of a file that ends before, or of an address that no processor has
        raise OSError(errno.EINVAL, "there is no such address") from None
    finally:
        os.close(fd)

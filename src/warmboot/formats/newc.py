"""cpio archives of the format "newc", as an initrd holds them (Linux's early-userspace/buffer-format.rst)."""

from __future__ import annotations

from warmboot.numbers import number
from warmboot.records import dataclass

__all__ = ["Member", "after_zeros", "begins_member", "member"]

_MAGICS = (b"070701", b"070702")  # without and with checksums
_HEADER = 110  # bytes: a magic and thirteen numbers of eight hexadecimal digits
_SIZE, _NAME_SIZE = 54, 94  # where two of them are
_ALIGN = 4
_PAGE = 4096  # zeros are skipped so many at a time


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive: offsets of its name, of its `size` bytes, and of what follows; nothing says that the data
    reach so far."""

    name: int
    content: int
    size: int
    end: int


def begins_member(data: memoryview, at: int) -> bool:
    """Whether a member may begin at offset `at`, by its magic."""
    return bytes(data[at : at + 6]) in _MAGICS


def member(data: memoryview, at: int) -> Member | None:
    """The member whose magic is at offset `at`; None where its header is cut off or damaged."""
    size, name_size = (
        number(bytes(data[at + each : at + each + 8]).decode("latin-1"), 16) for each in (_SIZE, _NAME_SIZE)
    )
    if size is None or name_size is None or at + _HEADER > data.nbytes:
        return None
    content = at + _aligned(_HEADER + name_size)
    return Member(at + _HEADER, content, size, content + _aligned(size))


def after_zeros(data: memoryview, at: int) -> int:
    """The first offset from `at` on that is not zero, or the end."""
    while at < data.nbytes:
        page = bytes(data[at : at + _PAGE])
        left = page.lstrip(b"\0")
        if left:
            return at + len(page) - len(left)
        at += len(page)
    return at


def _aligned(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN

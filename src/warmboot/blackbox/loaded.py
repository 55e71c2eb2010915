"""The black box of one load: what is known of it, and the page as user space writes it before the purgatory does.

User space writes through /dev/mem, which a kernel that is locked down does not allow: then the purgatory is the first
to write, and nothing is said about it.
"""

from __future__ import annotations

import mmap
import os
import time
from contextlib import suppress

from warmboot.blackbox.place import find_place
from warmboot.live.files import text, under
from warmboot.purgatory.record import BOX_SIZE, Stage, Template, fresh_box, pack_mark, pack_template, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from warmboot.purgatory.parameters import Marks

__all__ = ["mark_calling", "new_template", "write_loaded"]

_DEV_MEM = "dev/mem"


def new_template(loaded: str, *, risks: Sequence[str] = (), root: str = "/") -> Template:
    """What is known of a load that begins now: `loaded` is the release of the kernel, or its file's name."""
    return Template(
        load_id=os.urandom(16),
        loaded_at=time.time_ns(),
        running=os.uname().release,
        loaded=loaded,
        boot_id=_boot_id(root),
        risks=tuple(risks),
    )


def write_loaded(marks: Marks | Template, address: int = 0, root: str = "/") -> bool:
    """Write the page as it is when an image has been loaded; whether that could be done.

    `marks` are those of an image with our purgatory. One that the kernel placed itself has a template alone, and its
    box at `address`.
    """
    template = pack_template(marks) if isinstance(marks, Template) else marks.template
    at = address if isinstance(marks, Template) else marks.box
    with suppress(OSError):
        _write(at, [(0, fresh_box(template))], root)
        return True
    return False


def mark_calling(root: str = "/") -> bool:
    """Mark that the loaded image is about to be started, if the page is that of an image that only was loaded."""
    address = find_place(root)
    if address is None:
        return False
    with suppress(OSError):
        box = parse(_read(address, root))
        if box is not None and box.stage is Stage.LOADED:
            _write(address, pack_mark(Stage.CALLING), root)
            return True
    return False


def _read(address: int, root: str) -> bytes:
    """The page. Raises OSError."""
    fd = os.open(under(root, _DEV_MEM), os.O_RDONLY | os.O_SYNC | os.O_CLOEXEC)
    try:
        with mmap.mmap(fd, BOX_SIZE, mmap.MAP_SHARED, mmap.PROT_READ, offset=address) as page:
            return bytes(page)
    except ValueError:  # mmap of a file that ends before
        raise OSError(22, "there is no such address") from None
    finally:
        os.close(fd)


def _write(address: int, pieces: Iterable[tuple[int, bytes]], root: str) -> None:
    """Write (offset, bytes) into the page. O_SYNC maps it uncached, so that it is in memory at once. Raises OSError."""
    fd = os.open(under(root, _DEV_MEM), os.O_RDWR | os.O_SYNC | os.O_CLOEXEC)
    try:
        with mmap.mmap(fd, BOX_SIZE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=address) as page:
            for offset, data in pieces:
                page[offset : offset + len(data)] = data
    except ValueError:
        raise OSError(22, "there is no such address") from None
    finally:
        os.close(fd)


def _boot_id(root: str) -> bytes:
    told = (text(under(root, "proc/sys/kernel/random/boot_id")) or "").replace("-", "")
    with suppress(ValueError):
        found = bytes.fromhex(told)
        return found if len(found) == 16 else bytes(16)
    return bytes(16)

"""The black box of one load: what is known of it, and the page as user space writes it before the purgatory does.

User space writes through /dev/mem, which a kernel that is locked down does not allow: then the purgatory is the first
to write, and nothing is said about it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from warmboot.blackbox.page import read_page, write_page
from warmboot.blackbox.place import find_place, why_not
from warmboot.blackbox.state import read_loads
from warmboot.live.boot import boot_id
from warmboot.purgatory.record import Stage, Template, fresh_box, pack_mark, pack_template, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from warmboot.purgatory.parameters import Marks

__all__ = ["mark_calling", "new_template", "write_loaded"]


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
        write_page(at, [(0, fresh_box(template))], root)
        return True
    return False


def mark_calling(root: str = "/") -> bool:
    """Mark that the loaded image is about to be started, if the page is that of the last load of this boot."""
    newest = next(iter(read_loads(root)), None)
    address = find_place(root) if newest is None else newest.box
    with suppress(OSError):
        if address is None or why_not(address, root):
            return False
        box = parse(read_page(address, root))
        if box is None or box.stage is not Stage.LOADED or box.template.boot_id != _boot_id(root):
            return False
        if newest is None or newest.load_id == box.template.load_id.hex():
            write_page(address, pack_mark(Stage.CALLING), root)
            return True
    return False


def _boot_id(root: str) -> bytes:
    with suppress(ValueError):
        found = bytes.fromhex(boot_id(root))
        return found if len(found) == 16 else bytes(16)
    return bytes(16)

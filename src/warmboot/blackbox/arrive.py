"""The last mark: user space of the new kernel says that it is there, and the watchdog of --rescue is taken over."""

from __future__ import annotations

import os
from contextlib import suppress

from warmboot.blackbox.cmos import clear_cmos
from warmboot.blackbox.memory import look, pages
from warmboot.blackbox.page import DEV_MEM, read_page, write_page
from warmboot.blackbox.record import BOX_SIZE, Box, Stage, pack_mark, parse
from warmboot.blackbox.state import FOLDER, NAME, note_arrived, read_loads
from warmboot.blackbox.this_boot import Start, this_boot
from warmboot.errors import RefusedError
from warmboot.live.counter import read_counter
from warmboot.live.files import under

__all__ = ["clear", "mark_arrived"]


def mark_arrived(root: str = "/") -> Box | None:
    """Mark that the kexec which started the running kernel has arrived, in its notes and in its box; the box, or None
    where it has none.

    Nothing is written where firmware started this kernel, or where the kernel runs that loaded the image. Raises
    OSError where the page cannot be written.
    """
    boot = this_boot(root)
    if boot.start is not Start.KEXEC:
        return None
    with suppress(OSError):  # a file system that is read-only
        note_arrived(boot.release, boot.boot_id, root)

    found = next(iter(look(root).found), None)
    if found is None or found.address is None or found.box.template.boot_id.hex() == boot.boot_id:
        return None
    if found.box.stage is Stage.ARRIVED:
        return found.box
    write_page(found.address, pack_mark(Stage.ARRIVED, read_counter() or 0), root)
    return parse(read_page(found.address, root))


def clear(root: str = "/") -> list[str]:
    """Forget: each page with a box is filled with zeros, so are marks in CMOS memory, and the notes are removed; what
    was cleared, in words.

    Raises RefusedError where the page or CMOS memory cannot be written.
    """
    cleared = []
    try:
        for at in pages(root):
            if parse(read_page(at, root)) is not None:
                write_page(at, [(0, bytes(BOX_SIZE))], root)
                cleared.append(f"the page at {at:#x}")
    except OSError as error:
        raise RefusedError(
            f"{error.filename or under(root, DEV_MEM)}: {error.strerror}",
            hint="run it as root, where lockdown allows it",
        ) from None
    try:
        cleared += filter(None, [clear_cmos(root)])
    except OSError as error:
        raise RefusedError(f"CMOS memory: {error.strerror}", hint="run it as root, where lockdown allows it") from None
    notes = under(root, f"{FOLDER}/{NAME}")
    try:
        if read_loads(root):
            cleared.append(notes)
        os.unlink(notes)  # noqa: PTH108 - as live/files.py
    except FileNotFoundError:
        pass
    except OSError as error:
        raise RefusedError(f"{notes}: {error.strerror}", hint="run it as root") from None
    return cleared

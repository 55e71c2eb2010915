"""When this computer's kernel was told to start another one: kept in a file for that, as no memory is left of it.

The time stamp counter counts through a kexec, so that the next kernel can tell how long ago that was. The file is
written where /var/lib/warmboot is there: `warmboot time` makes it.

It is not one with the notes of the load (blackbox.state), which are replaced as a whole, and written before sync(2):
this is written last of all, in its place, and what is lost if that fails is a time.
"""

from __future__ import annotations

import os

from warmboot.live.boot import boot_id
from warmboot.live.files import text, under

__all__ = ["FOLDER", "note_call", "read_call"]

FOLDER = "var/lib/warmboot"
_NAME = "kexec-call"
_LONGEST = 20  # digits of a counter


def note_call(event: str, root: str = "/") -> None:
    """Keep the counter as it is now: the `event` is "call", just before reboot(2), or "exec", before services stop.

    Nothing is said where it cannot be kept: that must not stop a kexec.
    """
    folder = under(root, FOLDER)
    if not os.path.isdir(folder):  # noqa: PTH112 - pathlib costs more than all of this
        return
    from warmboot.live.counter import read_counter  # noqa: PLC0415 - only where it is kept

    counter = read_counter()
    if counter is None:
        return
    try:
        # Not by another name first: a rename would be lost in the file system's journal, as no sync follows.
        path = f"{folder}/{_NAME}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, f"{boot_id(root)} {event} {counter}\n".encode())
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError:
        pass


def read_call(caller: str, root: str = "/") -> tuple[str, int] | None:
    """The event and the counter that the kernel with boot id `caller` kept; None where another did, or nobody."""
    words = (text(under(root, f"{FOLDER}/{_NAME}")) or "").split()
    if len(words) != 3 or words[0] != caller or words[1] not in ("call", "exec"):
        return None
    counter = words[2]
    return (words[1], int(counter)) if counter.isascii() and counter.isdigit() and len(counter) <= _LONGEST else None

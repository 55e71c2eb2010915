"""What can go wrong with a live update."""

from __future__ import annotations

import errno
import os

from warmboot.errors import RefusedError

__all__ = ["ColdStartError", "LiveUpdateError", "refused"]

_NO_DEVICE = (
    "this kernel has no /dev/liveupdate: it was built without CONFIG_LIVEUPDATE, or started without"
    " 'kho=on liveupdate=on'"
)
# Of /dev/liveupdate and its sessions: what an errno means there (Linux 7.2, kernel/liveupdate).
_MEANINGS = {
    ("open", errno.ENOENT): _NO_DEVICE,
    ("open", errno.ENXIO): _NO_DEVICE,
    ("open", errno.ENODEV): _NO_DEVICE,
    ("open", errno.EBUSY): "another program has /dev/liveupdate open, and only one may",
    ("open", errno.EACCES): "only root may open /dev/liveupdate",
    ("open", errno.EIO): "this kernel could not read what the kernel before handed over",
    ("create", errno.EEXIST): "there is a session of that name already",
    ("create", errno.EINVAL): "a session's name has 1 to 63 bytes",
    ("retrieve session", errno.ENOENT): "the kernel before handed over no session of that name",
    ("retrieve session", errno.EINVAL): "the session has been retrieved already",
    ("preserve", errno.EEXIST): "the session has a file with that token already",
    ("preserve", errno.EBUSY): "the file is in a session already",
    ("preserve", errno.ENOENT): "this kernel cannot preserve such a file: it preserves memfds without huge pages",
    ("preserve", errno.EOPNOTSUPP): "this kernel cannot preserve a file with those seals",
    ("preserve", errno.ENOMEM): "there is not enough memory to preserve the file",
    ("preserve", errno.EFBIG): "the file is too large to be preserved",
    ("preserve", errno.ENOSPC): "the session has no room for more files",
    ("retrieve", errno.ENOENT): "the session has no file with that token",
    ("finish", errno.EBUSY): "a file of the session cannot be finished yet",
}
_HINTS = {
    _NO_DEVICE: "boot a kernel with CONFIG_LIVEUPDATE=y, and kho=on liveupdate=on on its command line",
    "another program has /dev/liveupdate open, and only one may": "fuser /dev/liveupdate",
}


class LiveUpdateError(RefusedError):
    """The kernel or the agent refuses; `errno` is the kernel's, or 0."""

    def __init__(self, message: str, *, hint: str, number: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.errno = number


class ColdStartError(LiveUpdateError):
    """Nothing was handed over under that name: the service starts cold. The message is the reason."""


def refused(what: str, error: OSError) -> LiveUpdateError:
    """An errno in a person's words; `what` is the step: open, create, retrieve session, preserve, retrieve, finish."""
    number = error.errno or errno.EIO
    meaning = _MEANINGS.get((what, number))
    name = errno.errorcode.get(number, str(number))
    return LiveUpdateError(
        f"{meaning} ({name})" if meaning else f"{what}: {os.strerror(number)} ({name})",
        hint=_HINTS.get(meaning or "", "see the kernel's log: dmesg"),
        number=number,
    )

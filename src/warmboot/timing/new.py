"""The stamps of a load that begins now."""

from __future__ import annotations

import os
import time

from warmboot.live.boot import boot_id
from warmboot.live.counter import read_counter
from warmboot.purgatory.stamps import Stamps

__all__ = ["new_stamps"]


def new_stamps(load_id: bytes = b"", root: str = "/") -> Stamps:
    """What is handed on of it; `load_id` is that of its black box, where it has one."""
    caller = boot_id(root)
    known = len(caller) == 32 and all(each in "0123456789abcdef" for each in caller)
    return Stamps(
        load_id or os.urandom(16),
        bytes.fromhex(caller) if known else bytes(16),
        time.time_ns(),
        read_counter() or 0,
    )

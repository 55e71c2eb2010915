"""The notes of a load that succeeded."""

from __future__ import annotations

import os
import time

from warmboot.blackbox.state import Loaded, note_load
from warmboot.live.boot import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["note_loaded"]


def note_loaded(
    kernel: str,
    release: str,
    initrds: Sequence[str],
    command_line: str,
    *,
    call: str,
    efi: bool | None = None,
    foreseen: Sequence[tuple[str, str, str]] = (),
    rescue: int = 0,
    box: int | None = None,
    load_id: str = "",
    root: str = "/",
) -> None:
    """Note a load of these files; `load_id` is that of its black box, which is at the physical address `box` if that
    was written.

    What cannot be written is not noted: the image is loaded all the same.
    """
    boot = boot_id(root)
    written = None if box is None else _load_id(box, boot, root)
    files = [os.path.abspath(each) for each in (kernel, *initrds)]  # noqa: PTH100 - as live/files.py
    loaded = Loaded(
        load_id=written or load_id or os.urandom(16).hex(),
        time=time.time(),
        boot_id=boot,
        running=os.uname().release,
        kernel=files[0],
        release=release,
        initrds=files[1:],
        sizes=[_size(each) for each in files],
        command_line=command_line,
        call=call,
        efi=efi,
        box=box if written is not None else None,
        foreseen=[list(each) for each in foreseen],
        rescue=rescue or None,
    )
    try:  # noqa: SIM105 - contextlib costs more
        note_load(loaded, root)
    except OSError:
        pass


def _load_id(box: int, boot: str, root: str) -> str | None:
    """The id of the load that the running kernel has written there."""
    from warmboot.blackbox.page import read_page  # noqa: PLC0415 - for a box alone
    from warmboot.blackbox.record import parse  # noqa: PLC0415

    try:
        found = parse(read_page(box, root))
    except OSError:
        return None
    return found.template.load_id.hex() if found is not None and found.template.boot_id.hex() == boot else None


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0

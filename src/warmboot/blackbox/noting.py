"""The notes of a load that succeeded."""

from __future__ import annotations

import os
import time

from warmboot.blackbox.state import Loaded, note_load
from warmboot.live.boot import boot_id
from warmboot.live.status import may_have_box

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
    root: str = "/",
) -> None:
    """Note a load of these files; the load's id is that of the box on this computer, if it was written for it.

    What cannot be written is not noted: the image is loaded all the same.
    """
    boot = boot_id(root)
    box, load_id = _box_of(boot, root)
    files = [os.path.abspath(each) for each in (kernel, *initrds)]  # noqa: PTH100 - as live/files.py
    loaded = Loaded(
        load_id=load_id or os.urandom(16).hex(),
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
        box=box,
        foreseen=[list(each) for each in foreseen],
        rescue=rescue or None,
    )
    try:  # noqa: SIM105 - contextlib costs more
        note_load(loaded, root)
    except OSError:
        pass


def _box_of(boot: str, root: str) -> tuple[int | None, str | None]:
    """The address of this computer's box, and the id of the load that the running kernel has written there."""
    if not may_have_box(root):
        return None, None
    from warmboot.blackbox.page import read_page  # noqa: PLC0415 - for a box alone
    from warmboot.blackbox.place import find_place  # noqa: PLC0415
    from warmboot.blackbox.record import parse  # noqa: PLC0415

    try:
        at = find_place(root)
        box = parse(read_page(at, root)) if at is not None else None
    except OSError:
        return None, None
    if box is None or box.template.boot_id.hex() != boot:
        return None, None
    return at, box.template.load_id.hex()


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0

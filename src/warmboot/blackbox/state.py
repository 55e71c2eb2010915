"""What was loaded on this computer, and when it was started: kept in a file for the boot after it.

A black box has no room for file names and command lines, and a computer without one has nothing else. The file is
JSON, for root alone, as a command line may hold a password; it has the newest loads first and is replaced as a whole.
"""

from __future__ import annotations

import os
import time

from warmboot.live.files import read, under
from warmboot.live.kexec_call import FOLDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["FOLDER", "NAME", "Loaded", "note_arrived", "note_call", "note_load", "notes_hidden", "read_loads"]

NAME = "last-kexec.json"
_MOST = 4  # loads
_LARGEST = 1 << 20  # bytes of the file
_VERSION = 1


class Loaded:
    """One load. `load_id` is that of its black box, in hexadecimal; times are Unix time in seconds.

    `call` is the system call that loaded it; `called` is when `reboot` was about to be called, and `arrived` when user
    space of the new kernel said that it is up, each None where that is not known. `box` is the physical address of its
    black box, None without one. `foreseen` are rules of `warmboot explain` with what spoke for each: (rule, confidence,
    fact). `rescue` are the seconds that --rescue asked for; `watchdog` and `driver` are the identity and the module of
    the watchdog that was started for it. `efi` says whether EFI's tables were handed on, None where the kernel did that
    itself.
    """

    __slots__ = (
        *("load_id", "time", "called", "arrived", "boot_id", "running", "kernel", "release", "initrds", "sizes"),
        *("command_line", "call", "efi", "box", "foreseen", "rescue", "watchdog", "driver"),
    )

    def __init__(
        self,
        *,
        load_id: str,
        time: float,
        called: float | None = None,
        arrived: float | None = None,
        boot_id: str = "",
        running: str = "",
        kernel: str = "",
        release: str = "",
        initrds: Sequence[str] = (),
        sizes: Sequence[int] = (),
        command_line: str = "",
        call: str = "",
        efi: bool | None = None,
        box: int | None = None,
        foreseen: Sequence[Sequence[str]] = (),
        rescue: int | None = None,
        watchdog: str | None = None,
        driver: str = "",
    ) -> None:
        self.load_id: str = load_id
        self.time: float = time
        self.called: float | None = called
        self.arrived: float | None = arrived
        self.boot_id: str = boot_id
        self.running: str = running
        self.kernel: str = kernel
        self.release: str = release
        self.initrds: tuple[str, ...] = tuple(initrds)
        self.sizes: tuple[int, ...] = tuple(sizes)
        self.command_line: str = command_line
        self.call: str = call
        self.efi: bool | None = efi
        self.box: int | None = box
        self.foreseen: tuple[tuple[str, ...], ...] = tuple(tuple(each) for each in foreseen)
        self.rescue: int | None = rescue
        self.watchdog: str | None = watchdog
        self.driver: str = driver

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Loaded) and self.members() == other.members()

    def __hash__(self) -> int:
        return hash(self.load_id)

    def members(self) -> dict[str, Any]:
        """As a JSON object's members."""
        return {name: getattr(self, name) for name in self.__slots__}


def note_load(loaded: Loaded, root: str = "/") -> None:
    """Put a load before those that are kept; the folder is made where there is none. Raises OSError."""
    _write([loaded, *(each for each in read_loads(root) if each.load_id != loaded.load_id)][:_MOST], root)


def note_call(root: str = "/", *, rescue: int | None = None, watchdog: str | None = None, driver: str = "") -> None:
    """Note that the newest load is about to be started now, guarded by a watchdog or not. Raises OSError."""
    loads = read_loads(root)
    if loads:
        newest = loads[0]
        newest.called, newest.watchdog, newest.driver = time.time(), watchdog, driver
        newest.rescue = rescue if rescue is not None else newest.rescue
        _write(loads, root)


def note_arrived(release: str, boot_id: str, root: str = "/") -> None:
    """Note that user space of the newest load is up: kexec started this boot, of that id, and this kernel's release is
    its, as far as that is known. Raises OSError."""
    loads = read_loads(root)
    if loads and loads[0].arrived is None and loads[0].boot_id != boot_id:
        loaded = loads[0].release.partition(" ")[0]  # a bzImage's version is a release, and then who built it
        if loaded in (release, ""):
            loads[0].arrived = time.time()
            _write(loads, root)


def read_loads(root: str = "/") -> list[Loaded]:
    """The loads that are kept, newest first; none where the file is missing, or is not ours to read or understand."""
    import json  # noqa: PLC0415 - only what notes or tells a load pays for it

    try:
        data = read(under(root, f"{FOLDER}/{NAME}"))
        found = json.loads(data) if len(data) <= _LARGEST else None
    except (OSError, ValueError, RecursionError):
        return []
    entries = found.get("loads") if isinstance(found, dict) and found.get("version") == _VERSION else None
    loads = (_loaded(each) for each in entries[:_MOST]) if isinstance(entries, list) else ()
    return [each for each in loads if each is not None]


def notes_hidden(root: str = "/") -> str:
    """The path of the notes where they are there and not this user's to read; else nothing."""
    path = under(root, f"{FOLDER}/{NAME}")
    return path if os.access(path, os.F_OK) and not os.access(path, os.R_OK) else ""


def _write(loads: Sequence[Loaded], root: str) -> None:
    import json  # noqa: PLC0415

    folder = under(root, FOLDER)
    os.makedirs(folder, mode=0o755, exist_ok=True)  # noqa: PTH103 - as above
    path = f"{folder}/{NAME}"
    data = json.dumps({"version": _VERSION, "loads": [each.members() for each in loads]}).encode()
    fresh = f"{path}.{os.getpid()}"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
    # Not synced here: what starts the kernel calls sync(2), and a load that is never started is not missed.
    os.replace(fresh, path)  # noqa: PTH105 - as above


_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("load_id", "boot_id", "running", "kernel", "release", "command_line", "call", "driver"), (str,)),
    "time": (int, float),
    **dict.fromkeys(("called", "arrived"), (int, float, type(None))),
    "efi": (bool, type(None)),
    **dict.fromkeys(("box", "rescue"), (int, type(None))),
    "watchdog": (str, type(None)),
}
_LISTS: dict[str, type] = {"initrds": str, "sizes": int}


def _loaded(members: object) -> Loaded | None:
    """One entry of the file, or None where it is not as we write it."""
    if not isinstance(members, dict) or not {"load_id", "time"} <= members.keys():
        return None
    known = {name: value for name, value in members.items() if name in Loaded.__slots__}
    for name, value in known.items():
        if name in _KINDS:
            good = isinstance(value, _KINDS[name])
        elif name in _LISTS:
            good = isinstance(value, list) and all(isinstance(each, _LISTS[name]) for each in value)
        else:  # foreseen
            good = isinstance(value, list) and all(
                isinstance(row, list) and len(row) == 3 and all(isinstance(each, str) for each in row) for row in value
            )
        if not good:
            return None
    return Loaded(**known)

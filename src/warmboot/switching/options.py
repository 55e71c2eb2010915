"""What `warmboot switch` is asked to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from warmboot.errors import InputError
from warmboot.liveupdate.wire import SOCKET, is_name
from warmboot.numbers import number
from warmboot.placement.command_line import CommandLineRequest
from warmboot.visible import visible

__all__ = ["Keep", "SwitchOptions", "keep_of"]

_MOST_FD = 1 << 20


@dataclass(frozen=True, slots=True)
class Keep:
    """A name, or a descriptor `fd` of this process that is handed over under it."""

    name: str
    fd: int | None = None


@dataclass(frozen=True, slots=True)
class SwitchOptions:
    """The kernel, what is kept, and how the jump is made; times in seconds."""

    kernel: Path
    initrds: Sequence[Path] = ()
    command_line: CommandLineRequest = field(default_factory=CommandLineRequest)
    keep: Sequence[Keep] = ()
    cold: bool = False  # keep nothing: the plain fast reboot
    allow_cold: bool = False  # go on where services would start cold
    hooks: Sequence[Path] = ()
    hook_timeout: int = 60
    tell_timeout: int = 10
    jump_timeout: int = 600
    now: bool = False
    dry_run: bool = False
    socket: str = SOCKET
    profile: str | None = None


def keep_of(text: str) -> Keep:
    """What --keep says: UNIT, NAME, FD or NAME=FD. Raises InputError."""
    name, equals, fd_text = text.rpartition("=")
    fd = number(fd_text, most=_MOST_FD)
    if fd is not None and (equals or fd_text == text):
        name = name if equals else f"fd-{fd}"
    else:
        name, fd = text, None
    if not is_name(name):
        raise InputError(
            f"--keep {visible(text, most=80)}: neither a unit, a name nor a descriptor",
            hint="warmboot switch --list shows what services have handed over; a descriptor is FD or NAME=FD",
        )
    return Keep(name, fd)

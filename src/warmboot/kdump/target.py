"""Where a dump goes, as the rest of kdump sees it: it can be looked at before a crash, and written to after one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from warmboot.dump.save import Saved
    from warmboot.dump.source import Source
    from warmboot.kdump.config import KdumpConfig

__all__ = ["Check", "Place", "Target", "target_of"]

Progress = Callable[[int, int, int], None]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a dump needs, and whether it is there: `ok` is null where it could not be found out."""

    what: str
    ok: bool | None
    text: str


class Place(Protocol):
    """A folder of one dump, local or not, while it is open."""

    @property
    def name(self) -> str:
        """Where it is, in words."""

    def put(self, name: str, data: bytes) -> None:
        """A small file, whole or not at all. Raises WarmbootError."""

    def save(self, source: Source, config: KdumpConfig, progress: Progress | None) -> Saved:
        """The dump, whose name it gets when it is whole. Raises WarmbootError."""


class Target(Protocol):
    """Where dumps go."""

    @property
    def name(self) -> str:
        """In words, such as ssh://kdump@192.0.2.1/var/crash."""

    def check(self, need: int) -> Sequence[Check]:
        """Whether `need` bytes could be written there now. Never raises WarmbootError."""

    def place(self, folder: str) -> AbstractContextManager[Place]:
        """Open a folder of that name, which is made. Raises WarmbootError."""


def target_of(config: KdumpConfig) -> Target:
    """The one that is configured."""
    if config.ssh:
        from warmboot.kdump.over_ssh import SshTarget  # noqa: PLC0415 - what is used, here and below

        return SshTarget(config)
    if config.nfs:
        from warmboot.kdump.to_nfs import NfsTarget  # noqa: PLC0415

        return NfsTarget(config)
    from warmboot.kdump.to_folder import DeviceTarget, FolderTarget  # noqa: PLC0415

    return DeviceTarget(config) if config.device else FolderTarget(config.folder)

"""Dumps into a folder of this computer, or of a file system that is mounted for it."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from warmboot.errors import InputError, RefusedError, WarmbootError
from warmboot.kdump.mounts import device_path, mount_of, mounted_device
from warmboot.kdump.target import Check, Progress
from warmboot.visible import visible

if TYPE_CHECKING:
    from warmboot.dump.save import Saved
    from warmboot.dump.source import Source
    from warmboot.kdump.config import KdumpConfig

__all__ = ["MOUNT_POINT", "DeviceTarget", "FolderPlace", "FolderTarget", "MountedTarget", "room_check"]

MOUNT_POINT = Path("/run/warmboot-kdump")


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A folder that only root reads; `name` is how an operator finds it."""

    folder: Path
    name: str

    def put(self, name: str, data: bytes) -> None:
        """As Place says."""
        path, part = self.folder / name, self.folder / f"{name}.part"
        try:
            file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(file, "wb") as out:  # noqa: PTH123 - a descriptor
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            part.rename(path)
        except OSError as error:
            raise RefusedError(
                f"{visible(str(path))}: cannot be written: {error.strerror}", hint="make room there"
            ) from None

    def save(self, source: Source, config: KdumpConfig, progress: Progress | None) -> Saved:
        """As Place says; FILE.incomplete until it is whole."""
        from warmboot.dump.page_jobs import processors  # noqa: PLC0415 - only a save needs it, as below
        from warmboot.dump.save import SavePlan, save  # noqa: PLC0415

        plan = SavePlan((self.folder / "vmcore",), config.level, codec=config.codec, threads=processors())
        return save(source, plan, progress)


@dataclass(frozen=True, slots=True)
class FolderTarget:
    """A folder; `shown` is its name for an operator where that is another."""

    folder: Path
    shown: str = ""

    @property
    def name(self) -> str:
        """As Target says."""
        return self.shown or str(self.folder)

    def check(self, need: int) -> Sequence[Check]:
        """As Target says: a file is written there, and removed."""
        try:
            self.folder.mkdir(parents=True, mode=0o700, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".warmboot-") as file:
                file.write(b"warmboot")
                file.flush()
            left = os.statvfs(self.folder)
        except OSError as error:
            return [Check("writable", False, f"{self.name}: {error.strerror}")]
        return [Check("writable", True, self.name), room_check(left.f_bavail * left.f_frsize, need)]

    @contextmanager
    def place(self, folder: str) -> Iterator[FolderPlace]:
        """As Target says."""
        path = self.folder / folder
        try:
            path.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise InputError(
                f"{visible(str(path))}: cannot be made: {error.strerror}", hint="name another folder"
            ) from None
        yield FolderPlace(path, f"{self.name}/{folder}")
        os.sync()


@dataclass(frozen=True, slots=True)
class MountedTarget(ABC):
    """A folder of a file system that is mounted for as long as it is used; `missing` names the check of that."""

    config: KdumpConfig
    missing: ClassVar[str]

    @property
    @abstractmethod
    def name(self) -> str:
        """As Target says."""

    @abstractmethod
    def mounted_folder(self, wait: float) -> AbstractContextManager[FolderTarget]:
        """The folder, of a file system that may take `wait` seconds to appear."""

    def check(self, need: int) -> Sequence[Check]:
        """As Target says."""
        try:
            with self.mounted_folder(0.0) as folder:
                return folder.check(need)
        except (OSError, WarmbootError) as error:
            return [Check(self.missing, False, str(error))]

    @contextmanager
    def place(self, folder: str) -> Iterator[FolderPlace]:
        """As Target says."""
        with self.mounted_folder(self.config.wait) as target, target.place(folder) as place:
            yield place


@dataclass(frozen=True, slots=True)
class DeviceTarget(MountedTarget):
    """A device; where it is mounted already it is used there."""

    missing: ClassVar[str] = "writable"

    @property
    def name(self) -> str:
        """As Target says."""
        return f"{self.config.device}:{self.config.folder}"

    @contextmanager
    def mounted_folder(self, wait: float) -> Iterator[FolderTarget]:
        """As MountedTarget says."""
        device = device_path(self.config.device, wait)
        inside = str(self.config.folder).lstrip("/")
        there = _mounted_at(device)
        if there is not None:
            yield FolderTarget(there / inside, self.name)
            return
        with mounted_device(device, self.config.type, MOUNT_POINT) as point:
            yield FolderTarget(point / inside, self.name)


def _mounted_at(device: Path) -> Path | None:
    """Where the whole file system of a device is mounted already."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    wanted = device.resolve()
    for line in lines:
        parts, more = line.partition(" - ")[0].split(" "), line.partition(" - ")[2].split(" ")
        if len(parts) > 5 and parts[3] == "/" and len(more) > 1 and Path(more[1]).resolve() == wanted:
            found = mount_of(Path(parts[4]))
            return found.point if found is not None else None
    return None


def room_check(left: int, need: int) -> Check:
    """Whether the dump has room: both in bytes."""
    text = f"{left >> 20} MiB are free, a dump may have {need >> 20} MiB"
    return Check("room", left >= need, text)

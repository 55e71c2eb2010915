"""The disk that a rehearsed dump is saved to: a file that has holes where nothing is written."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from warmboot.errors import InputError, RefusedError
from warmboot.files.replaced import check_replaceable

__all__ = ["DumpDisk"]

_MORE = 64 << 20  # bytes for headers and notes


class DumpDisk:
    """A sparse file of at least `memory` bytes, beside `save` if that is given; gone with `stack` unless it is kept."""

    def __init__(self, memory: int, save: Path | None, stack: ExitStack) -> None:
        self._save = save
        folder = None if save is None else str(save.absolute().parent)
        try:
            if save is not None:
                check_replaceable(save)
            descriptor, name = tempfile.mkstemp(prefix=".warmboot-dump-", dir=folder)  # 0600
            self.path: Path = Path(name)
            stack.callback(self.path.unlink, missing_ok=True)
            stack.callback(os.close, descriptor)
            os.ftruncate(descriptor, memory + _MORE)
        except OSError as error:
            where = folder or tempfile.gettempdir()
            raise InputError(
                f"{where}: cannot be written: {error.strerror}", hint="name another FILE by --save"
            ) from None

    def options(self) -> list[str]:
        """QEMU's options: the same disk by NVMe and by virtio, as kernels have the driver of the one or the other."""
        file = f"if=none,file={self.path},format=raw,cache=unsafe,discard=unmap,detect-zeroes=unmap,file.locking=off"
        return [
            *("-device", "nvme,id=nvme,serial=1", "-drive", f"{file},id=dump1"),
            *("-device", "nvme-ns,bus=nvme,drive=dump1,nsid=1"),
            *("-drive", f"{file},id=dump2", "-device", "virtio-blk-pci,drive=dump2,share-rw=on"),
        ]

    def keep(self, size: int) -> Path | None:
        """Cut the dump to its `size` bytes and give it its name. Raises RefusedError."""
        try:
            os.truncate(self.path, size)
            if self._save is not None:
                self.path.replace(self._save)
        except OSError as error:
            raise RefusedError(f"{self._save}: cannot be written: {error.strerror}", hint="name another FILE") from None
        return self._save

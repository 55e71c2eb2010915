"""Dumps to NFS: mounted, saved under another name, renamed.

The kernel mounts by itself, without mount.nfs, when it is told the server's address (nfs(5), "addr"); locks are of no
use to a dump (`nolock`), and a server that is gone ends in an error and not in waiting for ever (`softerr`).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from warmboot.errors import RefusedError
from warmboot.kdump.mounts import mounted
from warmboot.kdump.to_folder import MOUNT_POINT, FolderTarget, MountedTarget
from warmboot.visible import visible

__all__ = ["NfsTarget", "nfs_host"]

_VERSIONS = ("4.2", "4.1", "4.0", "3")
_OPTIONS = "proto=tcp,softerr,timeo=100,retrans=3,nolock"


def nfs_host(where: str) -> tuple[str, str]:
    """Host and folder of HOST:/FOLDER; an IPv6 address stands in brackets."""
    host, _, folder = where.rpartition(":/")
    return host.strip("[]"), f"/{folder}"


@dataclass(frozen=True, slots=True)
class NfsTarget(MountedTarget):
    """A folder of an NFS server's: `folder` of the configuration is below what the server exports."""

    missing: ClassVar[str] = "mounted"

    @property
    def name(self) -> str:
        """As Target says."""
        host, _, exported = self.config.nfs.rpartition(":/")
        return f"nfs://{host}{Path('/', exported, str(self.config.folder).lstrip('/'))}"

    @contextmanager
    def mounted_folder(self, wait: float) -> Iterator[FolderTarget]:
        """As MountedTarget says."""
        inside = str(self.config.folder).lstrip("/")
        with ExitStack() as stack:
            point = self._mount(stack, time.monotonic() + wait)
            yield FolderTarget(point / inside, self.name)

    def _mount(self, stack: ExitStack, end: float) -> Path:
        """Mount it, again and again until then: a network takes a while to be up."""
        host, _ = nfs_host(self.config.nfs)
        while True:
            address = _address(host)
            try:
                if address is None:
                    raise RefusedError(f"{visible(host)}: no such host", hint="give its address")
                return stack.enter_context(mounted(self.config.nfs, self._ways(address), MOUNT_POINT))
            except RefusedError:
                if time.monotonic() >= end:
                    raise
            time.sleep(1)

    def _ways(self, address: str) -> list[tuple[str, str]]:
        more = f",{self.config.nfs_options}" if self.config.nfs_options else ""
        base = f"addr={address},{_OPTIONS}{more}"
        if "vers=" in more:
            return [("nfs", base)]
        return [("nfs", f"{base},vers={each}" + (f",mountaddr={address}" if each == "3" else "")) for each in _VERSIONS]


def _address(host: str) -> str | None:
    try:
        return str(socket.getaddrinfo(host.encode(), 2049, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return None

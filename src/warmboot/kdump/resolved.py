"""The configuration as the capture initrd has it: with what only the running computer knows written down."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

from warmboot.kdump.config import KdumpConfig
from warmboot.kdump.mounts import mount_of
from warmboot.kdump.to_nfs import nfs_host

__all__ = ["KEY", "KNOWN_HOSTS", "host_of", "hosts_line", "resolved"]

KEY, KNOWN_HOSTS = Path("/etc/warmboot/ssh_key"), Path("/etc/warmboot/known_hosts")


def resolved(config: KdumpConfig, root: Path = Path("/")) -> KdumpConfig:
    """A folder becomes a device with its file system's UUID, its type, and the path on it; files have their places."""
    if config.ssh:
        return replace(config, ssh_key=KEY, known_hosts=KNOWN_HOSTS)
    if config.nfs or config.device:
        return config
    mount = mount_of(config.folder)
    if mount is None or not mount.source.startswith("/dev/"):
        return config
    inside = Path("/", mount.root.lstrip("/"), config.folder.resolve().relative_to(mount.point))
    device = _by_uuid(mount.source, root) or mount.source
    return replace(config, device=device, type=mount.type, folder=inside)


def _by_uuid(source: str, root: Path) -> str | None:
    """A name that holds whatever order the devices are found in."""
    wanted = os.path.realpath(source)
    for link in sorted((root / "dev/disk/by-uuid").glob("*")):
        if os.path.realpath(link) == wanted:
            return f"UUID={link.name}"
    return None


def host_of(config: KdumpConfig) -> str:
    """The other computer's name; empty where there is none."""
    if config.ssh:
        return config.ssh.partition("@")[2].strip("[]")
    return nfs_host(config.nfs)[0] if config.nfs else ""


def hosts_line(host: str) -> str:
    """A line of /etc/hosts for a name, as the capture kernel may have no name server; empty for an address."""
    try:
        address = str(socket.getaddrinfo(host.encode(), None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return ""
    return "" if address == host else f"{address} {host}\n"

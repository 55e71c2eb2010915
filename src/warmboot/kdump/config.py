"""kdump's configuration: one small TOML file. Every name is optional; docs/kdump.md has them in a table.

kernel = "/boot/vmlinuz-6.12"        # the capture kernel; the running one's file where nothing is said
initrd = ["/boot/kdump.img"]         # the capture initrd; /var/lib/warmboot/kdump-RELEASE.img where that is there
append = "nr_cpus=1 reset_devices"   # added to the running kernel's command line without crashkernel=
crashkernel = "192M"                 # for `test`
folder = "/var/crash"                # dumps go into a folder of their own in it
device = "UUID=..."                  # the file system that has `folder`, then a path on it
ssh = "kdump@192.0.2.1"              # or over ssh, with ssh_key, known_hosts, ssh_port
nfs = "192.0.2.1:/export"            # or to NFS, with nfs_options
ip = "dhcp"                          # the capture kernel's network: its ip= parameter
modules = ["ext4", "virtio_blk"]     # of the kernel, for the initrd, beside those that this computer's devices use
after = "reboot"                     # when the dump is saved: reboot, poweroff, halt, shell
otherwise = "reboot"                 # when it is not
level = 31
codec = "zstd"
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from warmboot.errors import InputError
from warmboot.visible import visible

__all__ = ["DEFAULT_PATH", "VMCORE", "Action", "KdumpConfig", "kdump_toml", "read_kdump_config"]

DEFAULT_PATH = Path("/etc/warmboot/kdump.toml")
VMCORE = Path("/proc/vmcore")
_LARGEST = 64 << 10  # bytes
_HIGHEST = {"level": 31, "ssh_port": 65535, "wait": 3600}
# A user and a host, neither of which ssh can take for an option; a host and a folder of NFS.
_SSH = re.compile(r"[A-Za-z0-9_][\w.-]{0,63}@[A-Za-z0-9_\[][\w.:\]-]{0,253}", re.ASCII)
_NFS = re.compile(r"[A-Za-z0-9_\[][\w.:\]-]{0,253}:/[^\s,\x00]{0,1000}", re.ASCII)
_HINT = "see docs/kdump.md for the names"
_APPEND = "nr_cpus=1 reset_devices printk.always_kmsg_dump=1"


class Action(StrEnum):
    """What the capture kernel does in the end."""

    REBOOT = "reboot"
    POWEROFF = "poweroff"
    HALT = "halt"
    SHELL = "shell"


@dataclass(frozen=True, slots=True)
class KdumpConfig:
    """What is configured. `level` is makedumpfile's, 0 to 31; `vmcore` is what is saved; `wait` are the seconds that a
    device or a network may take to appear. Of `ssh`, `nfs` and `device` at most one is given."""

    kernel: Path
    initrd: tuple[Path, ...] = ()
    append: str = _APPEND
    crashkernel: str = "256M"
    folder: Path = Path("/var/crash")
    level: int = 31
    codec: str = "zstd"
    vmcore: Path = VMCORE
    device: str = ""
    type: str = ""
    ssh: str = ""
    ssh_port: int = 22
    ssh_key: Path = Path("/root/.ssh/kdump_id")
    known_hosts: Path = Path("/root/.ssh/known_hosts")
    nfs: str = ""
    nfs_options: str = ""
    ip: str = ""
    modules: tuple[str, ...] = ()
    wait: int = 60
    after: Action = Action.REBOOT
    otherwise: Action = Action.REBOOT


def kdump_toml(config: KdumpConfig) -> str:
    """The configuration as the file that `read_kdump_config` reads."""
    lines = []
    for each in fields(config):
        value = getattr(config, each.name)
        if isinstance(value, tuple):
            shown = f"[{', '.join(_quoted(str(one)) for one in value)}]"
        else:
            shown = str(value) if isinstance(value, int) else _quoted(str(value))
        lines.append(f"{each.name} = {shown}\n")
    return "".join(lines)


def _quoted(text: str) -> str:
    """A basic string of TOML: what JSON writes is one, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def read_kdump_config(path: Path | None) -> KdumpConfig:
    """Read the file, or the default one, which need not be there. Raises InputError, which names the file."""
    where = path or DEFAULT_PATH
    try:
        data = where.read_bytes() if path is not None or where.exists() else b""
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror}", hint="name another by --config") from None
    if len(data) > _LARGEST:
        raise InputError(f"{where}: {len(data)} bytes, at most {_LARGEST} are read", hint=_HINT)
    try:
        told = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{where}: no TOML: {visible(str(error), most=200)}", hint=_HINT) from None
    return _config(told, where)


def _config(told: Mapping[str, Any], where: Path) -> KdumpConfig:
    values: dict[str, Any] = {"kernel": Path(f"/boot/vmlinuz-{os.uname().release}")}
    for name, value in told.items():
        match name, value:
            case (("kernel" | "folder" | "vmcore" | "ssh_key" | "known_hosts"), str()):
                values[name] = Path(value)
            case "initrd", str():
                values[name] = (Path(value),)
            case (("initrd" | "modules"), list()) if all(isinstance(each, str) for each in value):
                values[name] = tuple(value if name == "modules" else map(Path, value))
            case (("append" | "crashkernel" | "codec" | "device" | "type" | "nfs_options" | "ip"), str()):
                values[name] = value
            case "ssh", str() if value == "" or _SSH.fullmatch(value):
                values[name] = value
            case "nfs", str() if value == "" or _NFS.fullmatch(value):
                values[name] = value
            case (("after" | "otherwise"), str()) if value in list(Action):
                values[name] = Action(value)
            case (("level" | "ssh_port" | "wait"), int()) if not isinstance(value, bool):
                if not 0 <= value <= _HIGHEST[name]:
                    raise InputError(f"{where}: {name} = {value}: not from 0 to {_HIGHEST[name]}", hint=_HINT)
                values[name] = value
            case _:
                raise InputError(f"{where}: {visible(name, most=40)} is no name, or its value no such", hint=_HINT)
    if sum(bool(values.get(name)) for name in ("device", "ssh", "nfs")) > 1:
        raise InputError(f"{where}: device, ssh and nfs are different targets", hint="keep one of them")
    return KdumpConfig(**values)

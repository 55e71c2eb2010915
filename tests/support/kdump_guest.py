"""A computer in QEMU with that Debian, whose crash is captured: its console, and what is on its disks in the end."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.guests import FAST, ext4
from support.kdump_root import KdumpRoot, site_files, write_files
from warmboot.kdump.install import install
from warmboot.machines.accel import Accel, accel_option, choose, cpu_model
from warmboot.machines.qemu import find_qemu

__all__ = ["CRASH", "Told", "boot", "dump_disk", "files_of"]

CRASH = "warmboot: a message before the crash"
_SAY = "warmboot: after the unit"
# What happens when systemd is up, if the test does not say otherwise.
_UNIT = """\
[Unit]
After=warmboot-kdump.service
DefaultDependencies=no
[Service]
Type=oneshot
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
ExecStart=/opt/warmboot/bin/after-boot
[Install]
WantedBy=basic.target
"""
# A small boot: what this Debian has no users and no network for.
_MASKED = (
    *("systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service", "e2scrub_reap.service"),
    *("ssh.service", "rpcbind.service", "nfs-server.service", "systemd-firstboot.service", "systemd-logind.service"),
    *("systemd-journald.service", "systemd-journal-flush.service", "systemd-binfmt.service", "getty.target"),
    *("systemd-update-utmp.service", "ldconfig.service", "nfs-client.target"),
    *("rpcbind.socket", "remote-fs.target", "systemd-hwdb-update.service", "systemd-journal-catalog-update.service"),
)


@dataclass(slots=True)
class Told:
    """The console's lines, and whether the machine ended by itself."""

    lines: list[str] = field(default_factory=list)
    ended: bool = False

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.lines)


def boot(
    root: KdumpRoot,
    initrd: Path,
    script: str,
    *,
    settings: Mapping[str, bytes],
    systemd: bool = True,
    append: str = "",
    memory: str = "512M",
    more: Sequence[str] = (),
    timeout: float = 240.0,
) -> Told:
    """Boot systemd, whose last act is `script`, or that alone, and listen until the machine powers off or is silent for
    `timeout` seconds."""
    with tempfile.TemporaryDirectory() as temporary:
        disk = _site_disk(Path(temporary), root, initrd, script, settings)
        line = f"console=ttyS0 root=/dev/nvme0n1 rw init=/sbin/init-with-site panic=-1 quiet {FAST} {append}"
        if not systemd:
            line += " site_init=/opt/warmboot/bin/after-boot"
        command = [*machine(memory), "-kernel", str(root.kernel), "-append", line]
        command += drive("root", root.disk, 1, snapshot=True) + drive("site", disk, 2) + list(more)
        return listen(command, timeout)


def machine(memory: str) -> list[str]:
    """QEMU's words for it, without what it boots."""
    qemu = find_qemu()
    accel = choose(qemu)
    model = cpu_model(accel) + (",-erms,-fsrm" if accel is Accel.TCG else "")
    accelerator = accel_option(accel, *(["tb-size=64"] if accel is Accel.TCG else []))
    words = [str(qemu), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"]
    words += ["-accel", accelerator, "-cpu", model, "-machine", "pc", "-m", memory]
    return [*words, "-device", "nvme,id=nvme,serial=1"]


def drive(name: str, path: Path, number: int, *, writable: bool = False, snapshot: bool = False) -> list[str]:
    """A disk of its NVMe controller; with `snapshot` what is written is forgotten."""
    how = "snapshot=on" if snapshot else f"readonly={'off' if writable else 'on'}"
    return [
        *("-drive", f"if=none,id={name},file={path},format=raw,{how}"),
        *("-device", f"nvme-ns,bus=nvme,drive={name},nsid={number}"),
    ]


def listen(command: Sequence[str], timeout: float) -> Told:
    """The serial port's lines; QEMU is ended where it is silent for `timeout` seconds."""
    told, rest = Told(), b""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        deadline = time.monotonic() + timeout
        try:
            while select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                piece = os.read(process.stdout.fileno(), 1 << 16)
                if not piece:
                    told.ended = True
                    break
                deadline = time.monotonic() + timeout
                *lines, rest = (rest + piece).split(b"\n")
                told.lines += [line.decode("utf-8", "replace").rstrip("\r") for line in lines]
        finally:
            process.kill()
    told.lines.append(rest.decode("utf-8", "replace"))
    return told


def dump_disk(folder: Path, size: str = "256M") -> Path:
    """An empty disk whose file system is called "dump"."""
    path = folder / "dump.img"
    subprocess.run([_tool("mke2fs"), "-q", "-F", "-t", "ext4", "-L", "dump", str(path), size], check=True)
    return path


def files_of(disk: Path, folder: Path) -> dict[str, Path]:
    """What is on it, by names relative to its root."""
    folder.mkdir()
    subprocess.run([_tool("debugfs"), "-R", f"rdump / {folder}", str(disk)], check=True, capture_output=True)
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def _site_disk(folder: Path, root: KdumpRoot, initrd: Path, script: str, settings: Mapping[str, bytes]) -> Path:
    site = folder / "site"
    write_files(site, {name.removeprefix("opt/warmboot/"): data for name, data in site_files().items()})
    overlay = site / "overlay"
    (overlay / "etc/warmboot").mkdir(parents=True)
    for name, data in settings.items():
        (overlay / "etc/warmboot" / name).write_bytes(data)
    install(overlay, "/opt/warmboot/bin/warmboot", enable=True)
    units = overlay / "etc/systemd/system"
    (units / "after-boot.service").write_text(_UNIT)
    (units / "basic.target.wants/after-boot.service").symlink_to("../after-boot.service")
    for name in _MASKED:
        (units / name).symlink_to("/dev/null")
    write_files(site, {"bin/after-boot": f"#!/bin/sh\nPATH=/opt/warmboot/bin:$PATH\n{script}".encode()})
    kept = overlay / f"var/lib/warmboot/kdump-{root.release}.img"
    kept.parent.mkdir(parents=True)
    shutil.copyfile(initrd, kept)
    return ext4(site, "site")


def _tool(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")
    assert found is not None, f"{name} is missing: apt-get install e2fsprogs"
    return found

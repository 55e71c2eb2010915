"""Making a capture initrd with the system's own tool, initramfs-tools or dracut, and warmboot in it.

The initrds that computers boot with stay as they are: this one has a folder of settings of its own, with only the
drivers that reach the place where dumps go, and no root file system.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from warmboot.errors import InputError, MissingToolError, RefusedError
from warmboot.kdump.config import KdumpConfig, kdump_toml
from warmboot.kdump.drivers import modules_for
from warmboot.kdump.fit import Fit, fit
from warmboot.kdump.templates import launcher, template
from warmboot.live import status
from warmboot.programs import clean_environment, find_program
from warmboot.visible import visible

__all__ = ["FOLDER", "CaptureInitrd", "Tool", "capture_initrds", "make_initrd"]

FOLDER = Path("/var/lib/warmboot")
_DRACUT = Path("/usr/lib/dracut/modules.d/99warmboot-kdump")
_MODULES_OF_DRACUT = ("base", "udev-rules", "kernel-modules", "warmboot-kdump")


class Tool(StrEnum):
    """What makes initrds here."""

    INITRAMFS_TOOLS = "initramfs-tools"
    DRACUT = "dracut"


_PROGRAM = {Tool.INITRAMFS_TOOLS: "mkinitramfs", Tool.DRACUT: "dracut"}


@dataclass(frozen=True, slots=True)
class CaptureInitrd:
    """An initrd that was made, for the kernel `release`, by `tool`; `modules` are those of the kernel that were asked
    for, `said` are the lines that the tool printed."""

    path: str
    release: str
    tool: Tool
    modules: tuple[str, ...]
    said: tuple[str, ...]
    fit: Fit


def capture_initrds(config: KdumpConfig) -> tuple[Path, ...]:
    """The capture kernel's initrds: those that are configured, or the one that `make_initrd` has made for it."""
    if config.initrd:
        return config.initrd
    made = FOLDER / f"kdump-{_release(config)}.img"
    return (made,) if made.exists() else ()


def make_initrd(
    config: KdumpConfig, *, tool: Tool | None = None, release: str | None = None, out: Path | None = None
) -> CaptureInitrd:
    """Make it: `out` is FOLDER/kdump-RELEASE.img unless given, and is replaced when the new one is whole.

    Raises MissingToolError where neither tool is installed, RefusedError with its last words where it fails.
    """
    tool = tool or _installed()
    release = release or _release(config)
    path = out or FOLDER / f"kdump-{release}.img"
    modules = modules_for(config)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="warmboot-kdump-") as folder:
            made = path.with_name(f"{path.name}.part")
            command = _COMMAND[tool](Path(folder), modules, config, release, made)
            said = _run(command, Path(folder), config)
            made.chmod(0o600)  # a key for ssh may be in it
            made.replace(path)
    except OSError as error:
        raise RefusedError(f"{visible(str(path))}: cannot be made: {error}", hint="as root, with room there") from None
    kernel = Path(f"/boot/vmlinuz-{release}")
    return CaptureInitrd(
        str(path), release, tool, tuple(modules), tuple(said), fit(kernel, (path,), status.crash_size() or None)
    )


def _release(config: KdumpConfig) -> str:
    """Of a kernel that is named as distributions name it, else the running one's."""
    name = config.kernel.name
    return name.removeprefix("vmlinuz-") if name.startswith("vmlinuz-") else os.uname().release


def _installed() -> Tool:
    for tool, program in _PROGRAM.items():
        if find_program(program) is not None:
            return tool
    raise MissingToolError(
        "neither initramfs-tools nor dracut is installed", hint="apt-get install initramfs-tools, or dnf install dracut"
    )


def _mkinitramfs(folder: Path, modules: list[str], config: KdumpConfig, release: str, out: Path) -> list[str]:
    """Its whole configuration is in `folder`."""
    del config
    compress = "zstd" if find_program("zstd") else "gzip"
    (folder / "initramfs.conf").write_text(template("initramfs-tools/initramfs.conf", compress=compress))
    (folder / "modules").write_text("".join(f"{each}\n" for each in modules))
    for each in ("conf.d", "hooks", "scripts/init-premount"):
        (folder / each).mkdir(parents=True)
    _script(folder / "hooks/warmboot-kdump", template("initramfs-tools/hook"))
    _script(folder / "scripts/init-premount/warmboot-kdump", template("initramfs-tools/script"))
    return ["mkinitramfs", "-d", str(folder), "-o", str(out), release]


def _dracut(folder: Path, modules: list[str], config: KdumpConfig, release: str, out: Path) -> list[str]:
    """Only the modules of dracut that are needed, and no drivers but those that are named."""
    if not _DRACUT.exists():
        raise InputError(f"{_DRACUT} is not there: dracut has no module of ours", hint="warmboot kdump install")
    (folder / "conf").write_text("")
    (folder / "conf.d").mkdir()
    # Left to itself dracut takes systemd-networkd where that is installed, which needs systemd in the initrd.
    legacy = ["network-legacy"] if any(_DRACUT.parent.glob("*network-legacy")) else []
    wanted = " ".join([*_MODULES_OF_DRACUT, *(["network", *legacy] if config.ip else [])])
    settings = ["--conf", str(folder / "conf"), "--confdir", str(folder / "conf.d"), "--tmpdir", str(folder)]
    drivers = ["--drivers", " ".join(modules), "--force-drivers", " ".join(modules)] if modules else []
    packing = "--zstd" if find_program("zstd") else "--gzip"
    return [
        *("dracut", "--force", "--no-hostonly", "--no-early-microcode", packing, *settings),
        *("--modules", wanted, *drivers, "--kver", release, str(out)),
    ]


_COMMAND: dict[Tool, Callable[[Path, list[str], KdumpConfig, str, Path], list[str]]] = {
    Tool.INITRAMFS_TOOLS: _mkinitramfs,
    Tool.DRACUT: _dracut,
}


def _run(command: list[str], folder: Path, config: KdumpConfig) -> list[str]:
    (folder / "kdump.toml").write_text(kdump_toml(config))
    _script(folder / "warmboot", launcher())
    program = find_program(command[0])
    if program is None:
        raise MissingToolError(f"{command[0]} is not installed", hint=f"install {command[0]}")
    more = {"KDUMP_WARMBOOT": str(folder / "warmboot"), "KDUMP_CONFIG": str(folder / "kdump.toml")}
    done = subprocess.run(
        [program, *command[1:]],
        env=clean_environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    said = [visible(line) for line in done.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
    if done.returncode:
        raise RefusedError(f"{command[0]}: {said[-1] if said else done.returncode}", hint="look at what it said above")
    return said


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)

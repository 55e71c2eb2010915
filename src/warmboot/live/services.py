"""How a running computer is brought down in order, before the kernel that is loaded starts: the commands to run."""

from __future__ import annotations

import os

from warmboot.live.files import exists, under

__all__ = ["kexec_command", "shutdown_commands", "systemd_is_running"]


def systemd_is_running(root: str = "/") -> bool:
    """Whether systemd manages this computer's services (sd_booted(3))."""
    return exists(under(root, "run/systemd/system"))


def kexec_command(root: str = "/") -> tuple[str, ...] | None:
    """The command that stops all services and then starts the loaded kernel, or None where there is no such.

    systemd's own last step is `kexec -e`.
    """
    if not systemd_is_running(root):
        return None
    for folder in ("usr/bin", "bin"):
        path = under(root, f"{folder}/systemctl")
        if os.access(path, os.X_OK):
            return (path, "kexec")
    return None


def shutdown_commands(root: str = "/") -> tuple[tuple[str, ...], ...]:
    """What to try, first to last, to restart in order; where an image is loaded, init's scripts start that.

    The places are kexec-tools'. Each is a path, to be run with the name `shutdown`.
    """
    return tuple((under(root, f"{folder}/shutdown"), "-r", "now") for folder in ("sbin", "etc", "bin"))

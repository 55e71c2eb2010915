"""The jump: by systemd, which stops services first, or at once by reboot(2)."""

from __future__ import annotations

import subprocess

from warmboot.errors import RefusedError
from warmboot.live import status
from warmboot.live.calls import LiveError, kexec_file_unload, kexec_unload, reboot_kexec, sync
from warmboot.live.network import interfaces_down
from warmboot.live.services import kexec_command
from warmboot.switching.network import Interfaces

__all__ = ["jump_command", "jump_now", "jump_orderly", "unload"]


def jump_command(*, now: bool) -> tuple[str, ...] | None:
    """The command that stops services and then jumps; None where the jump is made at once."""
    return None if now else kexec_command()


def jump_orderly(command: tuple[str, ...]) -> None:
    """Ask systemd for it. Raises RefusedError."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except OSError as error:
        raise RefusedError(f"{command[0]}: {error.strerror}", hint="--now jumps without it") from None
    if done.returncode != 0:
        raise RefusedError(f"{' '.join(command)}: {done.stderr.strip()[:300]}", hint="--now jumps without it")


def jump_now() -> None:
    """Never returns. Raises RefusedError where the kernel refuses; the network is up again then."""
    if not status.loaded():
        raise RefusedError("no kernel is loaded any more", hint="somebody has unloaded it: do it again")
    sync()
    before = Interfaces()
    interfaces_down()
    try:
        reboot_kexec()
    except LiveError as error:
        before.restore()
        raise RefusedError(f"the kernel refuses to jump: {error}", hint="see its log: dmesg") from None
    raise AssertionError("reboot(2) came back without an error")


def unload() -> None:
    """Forget the loaded image, if there is one; whatever the kernel says."""
    for each in (kexec_file_unload, kexec_unload):
        if not status.loaded():
            return
        try:
            each()
        except LiveError:
            continue

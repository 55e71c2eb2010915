"""--hotplug: the running kernel may rewrite the crash image's headers when processors or memory come and go."""

from __future__ import annotations

from warmboot.dropin.command import Command
from warmboot.dropin.stop import Stop
from warmboot.live.status import crash_elfcorehdr_size
from warmboot.uapi.numbers import KEXEC_UPDATE_ELFCOREHDR

__all__ = ["allow_hotplug"]

_PATH = "/sys/kernel/crash_elfcorehdr_size"


def allow_hotplug(command: Command) -> None:
    """Set the flag, where the running kernel has CONFIG_CRASH_HOTPLUG (Linux 6.6). Raises Stop."""
    size = crash_elfcorehdr_size()
    if not size:
        opened = f"Cannot open {_PATH}: No such file or directory\n" if size is None else ""
        raise Stop(1, f"{opened}Path {_PATH} does not exist, the kernel needs CONFIG_CRASH_HOTPLUG\n")
    command.flags |= KEXEC_UPDATE_ELFCOREHDR

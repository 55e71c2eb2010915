"""The environment variables that warmboot reads, as docs/environment.md has them."""

from __future__ import annotations

__all__ = ["VARIABLES"]

VARIABLES = {
    "WARMBOOT_QEMU": "the QEMU to run, a name or a path (default: qemu-system-x86_64 in the system's folders)",
    "WARMBOOT_OVMF": "the EFI firmware of machines with EFI, an OVMF.fd (default: that of the package ovmf)",
    "WARMBOOT_ACCEL": "kvm or tcg: what QEMU executes with (default: kvm where a probe shows that a guest runs)",
    "WARMBOOT_CONSOLE_LIMIT": "how much of a console --console FILE keeps, a size such as 1G (default: 64M)",
    "WARMBOOT_CACHE": "the folder for downloads (default: ~/.cache/warmboot)",
    "WARMBOOT_DEBIAN_MIRROR": "a Debian mirror, the address before /dists (default: the one that apt uses)",
    "WARMBOOT_FAULT": "for tests: the step at which `warmboot switch` or its agent is killed (default: none)",
    "NO_COLOR": "not empty: no colours; so does TERM=dumb, which also leaves out the progress line",
    "COLUMNS": "the width of the terminal (default: what the terminal says)",
}

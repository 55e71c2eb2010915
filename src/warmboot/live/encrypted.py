"""Guests whose memory is encrypted: there a kernel must unpack itself."""

from __future__ import annotations

from warmboot.errors import RefusedError
from warmboot.live.arch import this_machine

__all__ = ["refuse_unpacked_kernel"]


def refuse_unpacked_kernel(root: str = "/") -> None:
    """Raises RefusedError where this is a guest with encrypted memory (AMD SEV, Intel TDX).

    The decompressor accepts the pages from the hypervisor that the kernel will lie in, finds the bit that marks a page
    as encrypted, and keeps where the secrets of the guest are (arch/x86/boot/compressed/{sev,tdx,mem}.c): none of it
    can be done before the jump.
    """
    try:
        kind = this_machine().encrypted_guest(root)
    except OSError:
        return
    if kind:
        raise RefusedError(
            f"--unpack kernel: this is a guest with encrypted memory ({kind}), which the kernel's own decompressor"
            " must prepare for it",
            hint="leave out kernel: --unpack initrd can be had there",
        )

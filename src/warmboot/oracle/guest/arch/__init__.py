"""What of the agent depends on the architecture, one folder each, named as `uname -m` does.

It runs in guests, beside the agent: nothing is imported that takes long there.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class AgentArch(Protocol):
        """`CALL` is code for call(entry, nr_segments, segments, flags), which makes kexec_load of its arguments."""

        CALL: bytes
        NR_IOCTL: int
        NR_KEXEC_FILE_LOAD: int
        NR_USERFAULTFD: int
        KERNEL: int  # an address that is the kernel's

        def compat_call(self, stack: int) -> bytes:
            """The same by the 32-bit entry, on the stack that ends at that address."""
            ...


__all__ = ["of"]


def of(machine: str) -> AgentArch:
    """The agent's part of that architecture, as `uname -m` names it."""
    arch: AgentArch = __import__(f"{__name__}.{machine}", fromlist=["CALL"])
    return arch

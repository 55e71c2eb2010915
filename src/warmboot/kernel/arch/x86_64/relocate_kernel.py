"""The relocation code: what runs in the control code page, walks the page list and enters the new kernel."""

from __future__ import annotations

from warmboot.stubs.stub import stub

__all__ = ["RELOCATE_RETURNED", "RELOCATE_STACK", "relocate_kernel"]

RELOCATE_RETURNED = 16  # offset in the relocation code in bytes: where a preserve_context image returns to
RELOCATE_STACK = 1024  # bytes at the end of the control code page that the relocation code keeps for itself


def relocate_kernel() -> bytes:
    """Its built bytes."""
    return stub(__file__, "relocate_kernel")

"""x86_64."""

from __future__ import annotations

from warmboot.purgatory.arch.x86_64.parameters import (
    JUMP_BACK_TEXT_SIZE,
    PURGATORY_REGION_COUNT,
    purgatory,
    purgatory_size,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.purgatory.arch.interface import PurgatoryArch

__all__ = ["ARCH"]


class _X86:
    """See PurgatoryArch."""

    jump_back_text_size = JUMP_BACK_TEXT_SIZE
    size = staticmethod(purgatory_size)
    build = staticmethod(purgatory)

    def unchecked(self) -> tuple[int, bytes]:
        return PURGATORY_REGION_COUNT, bytes(8)


ARCH: PurgatoryArch = _X86()

"""x86_64."""

from warmboot.images.arch.x86_64.kinds import KINDS as ARCH

__all__ = ["ARCH"]

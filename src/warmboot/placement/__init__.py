"""Placement: from an image and a machine's facts to the request that the system call takes."""

from warmboot.placement.boot_params import BootParams
from warmboot.placement.space import Space
from warmboot.placement.x86_64 import Placement, place

__all__ = ["BootParams", "Placement", "Space", "place"]

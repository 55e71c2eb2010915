"""Placement: from an image and a machine's facts to the request that the system call takes."""

from warmboot.placement.boot_params import BootParams
from warmboot.placement.layout import Placement
from warmboot.placement.space import Space
from warmboot.placement.wanted import Module
from warmboot.placement.x86_64 import linux_command_line, place

__all__ = ["BootParams", "Module", "Placement", "Space", "linux_command_line", "place"]

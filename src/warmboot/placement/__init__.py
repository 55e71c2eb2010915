"""Placement: from an image and a machine's facts to the request that the system call takes."""

from warmboot.placement.layout import Placement
from warmboot.placement.placing import linux_command_line, place
from warmboot.placement.space import Space
from warmboot.placement.wanted import Module

__all__ = ["Module", "Placement", "Space", "linux_command_line", "place"]

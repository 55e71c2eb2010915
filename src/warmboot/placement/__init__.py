"""Placement: from an image and a machine's facts to the request that the system call takes."""

from warmboot.placement.layout import Placement
from warmboot.placement.options import Module, PlaceOptions
from warmboot.placement.place import linux_command_line, place
from warmboot.placement.space import Space

__all__ = ["Module", "PlaceOptions", "Placement", "Space", "linux_command_line", "place"]

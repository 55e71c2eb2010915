"""The page itself. The purgatory writes it, so its layout lives there; this is its name for those who read."""

from warmboot.purgatory.record import (
    BOX_SIZE,
    MAGIC,
    TEMPLATE_SIZE,
    Box,
    BoxException,
    BoxSegment,
    Stage,
    Template,
    fresh_box,
    pack_mark,
    pack_template,
    parse,
)

__all__ = [
    "BOX_SIZE",
    "MAGIC",
    "TEMPLATE_SIZE",
    "Box",
    "BoxException",
    "BoxSegment",
    "Stage",
    "Template",
    "fresh_box",
    "pack_mark",
    "pack_template",
    "parse",
]

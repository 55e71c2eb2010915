"""A multiboot module as a command line names it: a path, then the module's words."""

from __future__ import annotations

from warmboot.errors import InputError
from warmboot.images import map_file
from warmboot.placement.wanted import Module

__all__ = ["read_module"]


def read_module(words: str) -> Module:
    """The module that the first of `words` names; all of them are its command line, as is custom. Raises InputError."""
    path = words.partition(" ")[0]
    if not path:
        raise InputError("--module: no file is named", hint="give a path and the module's words: --module 'FILE arg'")
    return Module(map_file(path, "module"), words)

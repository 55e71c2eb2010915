"""A multiboot module as a command line names it: a path, then the module's words."""

from __future__ import annotations

from warmboot.errors import InputError
from warmboot.files.mapped import map_file
from warmboot.images.allowance import half_of_memory
from warmboot.images.decompress import decompressed
from warmboot.placement.options import Module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["read_module"]

_LARGEST = 2 << 30  # bytes: it must lie below 4 GiB, beside the kernel and the holes of the PC


def read_module(words: str, opened: Callable[[str], memoryview] | None = None) -> Module:
    """The module that the first of `words` names; all of them are its command line, as is custom.

    It is unpacked where it is exactly one packed stream. A file of several archives, such as an initrd that begins
    with microcode, is passed as it is: unpacking its first one would lose the others. `opened` gives a file's bytes in
    place of `map_file`. Raises InputError for a file that is not there or damaged, RefusedError for one too large.
    """
    path = words.partition(" ")[0]
    if not path and opened is None:
        raise InputError("--module: no file is named", hint="give a path and the module's words: --module 'FILE arg'")
    data = map_file(path, "module") if opened is None else opened(path)
    return Module(decompressed(data, path, limit=min(_LARGEST, half_of_memory()), alone=True), words)

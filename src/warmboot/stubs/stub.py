"""The built bytes of the stubs."""

from __future__ import annotations

from functools import cache

__all__ = ["stub"]


@cache
def stub(beside: str, name: str) -> bytes:
    """The built bytes of the stub `name`: NAME.bin in the folder of the module file `beside` (its `__file__`)."""
    path = f"{beside.rpartition('/')[0]}/{name}.bin"
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib takes longer to import than all else here
        return file.read()

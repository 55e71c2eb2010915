"""The built bytes of the stubs."""

from __future__ import annotations

from functools import cache

__all__ = ["stub"]


@cache
def stub(name: str) -> bytes:
    """The built bytes of the stub `name`: relocate_kernel, purgatory, demo_kernel, pvh_stub, witness."""
    path = f"{__file__.rpartition('/')[0]}/{name}.bin"
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib takes longer to import than all else here
        return file.read()

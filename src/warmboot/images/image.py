"""Any kernel image: what `identify` gives."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Image"]


class Image(Protocol):
    """What every format's class has; what else it has is read by the code that places or describes that format."""

    @property
    def name(self) -> str:
        """The file, for messages."""
        ...

    @property
    def kind(self) -> str:
        """kexec-tools' name of the format, of `kind_names`."""
        ...

    @property
    def version(self) -> str:
        """The kernel's version, "unknown" where the format does not tell."""
        ...

    @property
    def file(self) -> memoryview:
        """The whole file, unpacked."""
        ...

    @property
    def wrapping(self) -> tuple[str, ...]:
        """What it was unpacked from, the outermost first."""
        ...

"""What of the witness depends on the architecture."""

from __future__ import annotations

from dataclasses import dataclass

from warmboot.uapi import KexecArch

__all__ = ["WitnessArch"]


@dataclass(frozen=True, slots=True)
class WitnessArch:
    """The witness of one architecture: its built bytes, and offsets and sizes in them, in bytes.

    `table` is where the table of regions is written, `scratch` the page that it writes to, `size` the memory that it
    takes; `flag` names the architecture to kexec_load.
    """

    code: bytes
    table: int
    scratch: int
    size: int
    flag: KexecArch

"""A risk: what may fail after the jump, by the name of its rule, and what a machine tells that speaks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from warmboot.records import dataclass

__all__ = ["LIKELY", "POSSIBLE", "PartlyTold", "Risk", "Told"]

LIKELY, POSSIBLE = "likely", "possible"


@dataclass(frozen=True, slots=True)
class Risk:
    """`rule` is of `warmboot explain`; `confidence` is likely or possible; `seen` is what speaks for it.

    `subject` says the same without what only this machine has, so that machines with one risk can be counted.
    `driver` is the driver that it is about, None where it is about none.
    """

    rule: str
    confidence: str
    subject: str
    seen: str
    driver: str | None = None


class Told(Protocol):
    """What is known of a machine, as its Facts have it; `devices` is as live/devices.py says, None: not known."""

    @property
    def release(self) -> str:
        """The running kernel's release."""
        ...

    @property
    def cmdline(self) -> str:
        """Its command line."""
        ...

    @property
    def iomem(self) -> str:
        """The text of /proc/iomem, as far as it can be read."""
        ...

    @property
    def firmware_memmap(self) -> str | None:
        """Firmware's memory map, as lines of /proc/iomem; None where it is not known."""
        ...

    @property
    def devices(self) -> Mapping[str, str] | None:
        """By kind, a line for each thing."""
        ...


@dataclass(frozen=True, slots=True)
class PartlyTold:
    """A machine of which less is known than its whole facts."""

    release: str
    cmdline: str
    iomem: str = ""
    firmware_memmap: str | None = None
    devices: Mapping[str, str] | None = None

"""The risks of a machine, each with the rule of `warmboot explain` whose page says why and what helps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.risks.consoles import silence
from warmboot.risks.displays import displays
from warmboot.risks.firmware import firmware
from warmboot.risks.left_on import left_on, left_on_by_table
from warmboot.risks.risk import LIKELY, Risk, Told
from warmboot.risks.translation import translation
from warmboot.risks.watchdogs import watchdogs

if TYPE_CHECKING:
    from warmboot.dump.devices import Devices
    from warmboot.uapi import LoadRequest

__all__ = ["Risk", "Risks", "risks_of", "seen"]


@dataclass(frozen=True, slots=True)
class Risks:
    """The risks, the likely first. `devices` are those on a bus, None where they cannot be read; `problems` say why."""

    risks: tuple[Risk, ...]
    devices: int | None
    problems: tuple[str, ...]


def risks_of(
    told: Told, command_line: str, *, devices: Devices | None = None, request: LoadRequest | None = None
) -> tuple[Risk, ...]:
    """What may fail after the jump to a kernel with that `command_line`, the likely first; never why a load fails.

    `told` are the machine's facts; `devices` what its own kernel tells of them, where that can be read; without it a
    table of drivers stands in. `request` is what is loaded, where it is known.
    """
    found = [
        *displays(told),
        *watchdogs(told),
        *(left_on(devices) if devices is not None else left_on_by_table(told)),
        *translation(told, command_line),
        *firmware(told, command_line, request),
        *silence(told, command_line),
    ]
    return tuple(sorted(found, key=lambda each: each.confidence != LIKELY))


def seen(told: Told, devices: Devices | None, problems: Iterable[str], command_line: str) -> Risks:
    """The same with how many devices were looked at, and what could not be."""
    more = devices.problems if devices is not None else ()
    found = risks_of(told, command_line, devices=devices)
    return Risks(found, None if devices is None else len(devices.devices), (*problems, *more))

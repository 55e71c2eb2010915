"""The risks of a computer, each with the rule of `warmboot explain` whose page says why and what helps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.live.files import folder, text, under
from warmboot.visible import visible

if TYPE_CHECKING:
    from warmboot.dump.devices import Devices

__all__ = ["Risk", "Risks", "seen"]

_LIKELY, _POSSIBLE = "likely", "possible"
# Drivers of displays that take the firmware's frame buffer away; those of virtual machines set a mode on any card.
_TAKES_THE_DISPLAY = frozenset(["amdgpu", "ast", "i915", "mgag200", "nouveau", "nvidia", "radeon", "xe"])
_SERIAL = re.compile(r"console=(?:tty[A-Z]+[0-9]+|hvc[0-9]+|uart)|earlycon|earlyprintk")
_TRANSLATED = ("DMA", "DMA-FQ")  # /sys/kernel/iommu_groups/N/type


@dataclass(frozen=True, slots=True)
class Risk:
    """`rule` is of `warmboot explain`; `confidence` is likely or possible; `seen` is what speaks for it."""

    rule: str
    confidence: str
    seen: str


@dataclass(frozen=True, slots=True)
class Risks:
    """The risks, the likely first. `devices` are those on a bus, None where they cannot be read; `problems` say why."""

    risks: tuple[Risk, ...]
    devices: int | None
    problems: tuple[str, ...]


def seen(devices: Devices | None, problems: Iterable[str], command_line: str, root: str = "/") -> Risks:
    """What /sys tells, what `devices` tell, and what is missing on the new kernel's `command_line`."""
    found = [*_displays(root), *_watchdogs(root), *_left_on(devices), *_translation(root), *_silence(command_line)]
    found.sort(key=lambda each: each.confidence != _LIKELY)
    more = devices.problems if devices is not None else ()
    return Risks(tuple(found), None if devices is None else len(devices.devices), (*problems, *more))


def _left_on(devices: Devices | None) -> Iterator[Risk]:
    for each in devices.devices if devices is not None else ():
        if not each.bus_master or each.shut_down_by is not None:
            continue
        name = visible(each.name, most=80)
        if each.driver is None:
            told = f"{name} may do DMA and has no driver: Linux switches its DMA off, and nothing resets it"
        else:
            module = f", module {each.module}" if each.module is not None else ", built in"
            told = (
                f"{name}: its driver {visible(each.driver, most=80)}{visible(module, most=80)} has no shutdown method:"
                " Linux switches its DMA off, and it stays as it runs"
            )
        yield Risk("device_left_on", _POSSIBLE, told)


def _displays(root: str) -> Iterator[Risk]:
    drm = under(root, "sys/class/drm")
    for card in folder(drm):
        if re.fullmatch(r"card[0-9]+", card):
            driver = _value(f"{drm}/{card}/device/uevent", "DRIVER")
            if driver in _TAKES_THE_DISPLAY:
                told = f"{driver} drives {card}: the screen stays black until the new kernel's own driver is up"
                yield Risk("graphics", _LIKELY, told)


def _watchdogs(root: str) -> Iterator[Risk]:
    found = under(root, "sys/class/watchdog")
    for each in folder(found):
        if text(f"{found}/{each}/state") == "active":
            identity = visible(text(f"{found}/{each}/identity") or "a watchdog", most=80)
            timeout = visible(text(f"{found}/{each}/timeout") or "?", most=20)
            told = f"{each} ({identity}) runs: it resets the machine {timeout} s after the last that feeds it"
            yield Risk("watchdog", _LIKELY, told)


def _translation(root: str) -> Iterator[Risk]:
    groups = under(root, "sys/kernel/iommu_groups")
    translated = [each for each in folder(groups) if text(f"{groups}/{each}/type") in _TRANSLATED]
    if translated:
        told = f"the IOMMU translates for {len(translated)} groups of devices: the new kernel must have it on too"
        yield Risk("iommu", _POSSIBLE, told)


def _silence(command_line: str) -> Iterator[Risk]:
    if _SERIAL.search(command_line) is None:
        told = "the command line has no console= of a serial port: nobody sees why a start fails"
        yield Risk("no_console", _POSSIBLE, told)


def _value(path: str, name: str) -> str | None:
    lines = (text(path) or "").splitlines()
    return next((line.partition("=")[2] for line in lines if line.startswith(f"{name}=")), None)

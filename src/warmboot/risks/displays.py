"""Displays that stay black: a native driver has taken the firmware's frame buffer away, and no firmware sets a mode."""

from __future__ import annotations

import re
from collections.abc import Iterator

from warmboot.risks.drivers import drivers
from warmboot.risks.risk import LIKELY, POSSIBLE, Risk, Told
from warmboot.risks.told import lines, names
from warmboot.visible import visible

__all__ = ["displays"]

# Those of virtual machines, such as bochs and virtio_gpu, set a mode on any card.
_NATIVE = ("amdgpu", "ast", "i915", "mgag200", "nouveau", "nvidia", "radeon", "xe")
_NAMED = re.compile(rf"\b(?:{'|'.join(_NATIVE)})\b")
_FIRMWARES = ("efifb", "simplefb", "vesafb", "BOOTFB", "simple-framebuffer")
_FIRMWARES_SCREEN = re.compile(rf"\b(?:{'|'.join(_FIRMWARES)})\b")
_PARTS = (*_NATIVE, *(each.lower() for each in _FIRMWARES))
_DARK = "the screen stays black until the new kernel's own driver is up"


def displays(told: Told) -> Iterator[Risk]:
    """By the cards of DRM; by the drivers of PCI devices; else by what /proc/iomem and the command line name."""
    cards = [line.partition(" ") for line in lines(told, "displays")]
    seen = [(driver, f"{driver} drives {visible(card, most=20)}") for card, _, driver in cards if driver in _NATIVE]
    if not cards:
        bound = (line.partition(" ") for line in lines(told, "pci"))
        seen = [
            (driver, f"{driver} drives {visible(address, most=20)}")
            for address, _, driver in bound
            if driver in _NATIVE
        ]
    for driver, where in seen:
        dark = f"{where}: {_DARK}{_method(driver, told.release)}"
        yield Risk("graphics", LIKELY, f"{driver} has the display", dark, driver)
    if told.devices is None or not (cards or lines(told, "pci")):
        yield from _guessed(told)


def _method(driver: str, release: str) -> str:
    """What the table knows of its shutdown method, where it has none."""
    row = drivers().get(driver)
    known = row.known(release) if row is not None else None
    return f"; it has no shutdown method in Linux {' and '.join(known.by)}" if known is not None and known.lacks else ""


def _guessed(told: Told) -> Iterator[Risk]:
    if "nomodeset" in told.cmdline:
        return
    shown = [*names(told, _PARTS), *lines(told, "framebuffers")]
    if any(map(_FIRMWARES_SCREEN.search, shown)):
        return
    named = (each[0] for each in map(_NAMED.search, (*shown, *lines(told, "modules"), told.cmdline)) if each)
    driver = next(named, None)
    if driver is not None:
        subject = f"{driver} has the display"
        yield Risk("graphics", POSSIBLE, subject, f"{subject}, and the firmware's frame buffer is gone", driver)

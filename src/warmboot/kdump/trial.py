"""What can be known before a crash: the capture initrd fits, and the target takes a dump of this computer's size."""

from __future__ import annotations

from dataclasses import dataclass

from warmboot.errors import WarmbootError
from warmboot.kdump.config import KdumpConfig
from warmboot.kdump.expected import expected_size
from warmboot.kdump.fit import fit
from warmboot.kdump.initrd import capture_initrds
from warmboot.kdump.target import Check, target_of
from warmboot.live import status

__all__ = ["Trial", "try_kdump"]


@dataclass(frozen=True, slots=True)
class Trial:
    """What was tried; `expected` is the most that a dump has, in bytes, as memory is used now."""

    target: str
    expected: int | None
    checks: tuple[Check, ...]


def try_kdump(config: KdumpConfig) -> Trial:
    """Try it; nothing stays at the target. Raises no WarmbootError: what is wrong is among the checks."""
    target = target_of(config)
    expected = expected_size(config.level)
    return Trial(target.name, expected, (_initrd(config), *target.check(expected or 0)))


def _initrd(config: KdumpConfig) -> Check:
    initrds = capture_initrds(config)
    if not initrds:
        return Check("initrd", False, "there is no capture initrd: warmboot kdump initrd")
    try:
        found = fit(config.kernel, initrds, status.crash_size() or None)
    except WarmbootError as error:
        return Check("initrd", False, str(error))
    if found.reserved is None:
        return Check("initrd", None, f"about {found.need >> 20} MiB are needed; nothing is reserved on this computer")
    text = f"about {found.need >> 20} MiB of {found.reserved >> 20} MiB"
    return Check("initrd", found.fits, text if found.fits else f"{text}: reserve more by crashkernel=")

"""What kdump on this computer is ready for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from warmboot.errors import WarmbootError
from warmboot.kdump.config import KdumpConfig
from warmboot.kdump.fit import Fit, fit
from warmboot.kdump.initrd import capture_initrds
from warmboot.kdump.target import target_of
from warmboot.live import status

__all__ = ["KdumpState", "kdump_state"]


@dataclass(frozen=True, slots=True)
class KdumpState:
    """`reserved` are bytes, `loaded` whether a capture kernel is; both null where the kernel does not say. `stale` are
    files that are older than the kernel or the configuration, `problems` what stands in the way of a dump."""

    kernel: str
    initrds: tuple[str, ...]
    target: str
    reserved: int | None
    loaded: bool | None
    fit: Fit | None
    stale: tuple[str, ...]
    problems: tuple[str, ...]


def kdump_state(config: KdumpConfig, config_path: Path) -> KdumpState:
    """Look, and change nothing. Raises no WarmbootError: what is wrong is among the problems."""
    initrds = capture_initrds(config)
    reserved, loaded = status.crash_size(), status.crash_loaded()
    problems, fitting = [], None
    if not config.kernel.exists():
        problems.append(f"{config.kernel} is missing")
    if reserved is None:
        problems.append("this kernel cannot load a crash kernel (CONFIG_KEXEC_CORE), or /sys is not mounted")
    elif not reserved:
        problems.append("no memory is reserved: boot with crashkernel=")
    if not initrds:
        problems.append("there is no capture initrd: warmboot kdump initrd")
    else:
        try:
            fitting = fit(config.kernel, initrds, reserved or None)
        except WarmbootError as error:
            problems.append(str(error))
    if fitting is not None and fitting.fits is False:
        problems.append(f"{fitting.need >> 20} MiB are needed, {(fitting.reserved or 0) >> 20} MiB reserved")
    if reserved and not loaded:
        problems.append("no capture kernel is loaded: warmboot kdump load")
    stale = tuple(str(each) for each in initrds if _older(each, (config.kernel, config_path)))
    problems += [f"{each} is older than the kernel or the configuration: warmboot kdump initrd" for each in stale]
    return KdumpState(
        kernel=str(config.kernel),
        initrds=tuple(map(str, initrds)),
        target=target_of(config).name,
        reserved=reserved,
        loaded=loaded,
        fit=fitting,
        stale=stale,
        problems=tuple(problems),
    )


def _older(path: Path, than: tuple[Path, ...]) -> bool:
    try:
        made = os.stat(path).st_mtime_ns  # noqa: PTH116 - one call
    except OSError:
        return False
    return any(each.exists() and each.stat().st_mtime_ns > made for each in than)

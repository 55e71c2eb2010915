"""What is looked at before a switch does anything: whether this kernel hands over, for which services, and what
stands in the way."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from warmboot.errors import InputError, RefusedError
from warmboot.live.files import text
from warmboot.liveupdate.problems import LiveUpdateError
from warmboot.numbers import number, size_text
from warmboot.switch_figures import KeptFile
from warmboot.switching.kernel_words import handover_is_on
from warmboot.switching.link import AgentLink
from warmboot.switching.options import SwitchOptions

__all__ = ["Ground", "find_ground"]

_SCRATCH = "/sys/kernel/debug/kho/out"  # where debugfs is mounted (CONFIG_KEXEC_HANDOVER_DEBUGFS)
_MOST_AREAS = 1024  # two, and one for each NUMA node


@dataclass(slots=True)
class Ground:
    """What there is. `link` is the agent, None where nothing is kept, for the reason `why_cold`."""

    link: AgentLink | None
    why_cold: str
    held: tuple[KeptFile, ...]
    notes: list[str]


def find_ground(options: SwitchOptions) -> Ground:
    """Look. Raises RefusedError where what is asked for cannot be, InputError for unusable input."""
    if os.geteuid() != 0 and not options.dry_run:
        raise RefusedError("only root may start another kernel", hint="run it as root")
    for each in (options.kernel, *options.initrds):
        _check_file(each)
    for kept in options.keep:
        _check_descriptor(kept.fd)
    ground = Ground(None, "", (), [])
    ground.why_cold = _why_not(options, ground)
    if ground.why_cold and (options.keep or ground.held) and not (options.allow_cold or options.cold):
        raise RefusedError(
            f"services would start cold: {ground.why_cold}",
            hint="--allow-cold, or --cold for a plain fast reboot that keeps nothing",
        )
    _check_scratch(options, ground)
    return ground


def _why_not(options: SwitchOptions, ground: Ground) -> str:
    """Why nothing is kept, or "" where something is."""
    if options.cold:
        return "--cold"
    if not handover_is_on():
        return (
            "this kernel has no /dev/liveupdate: it was built without CONFIG_LIVEUPDATE, or started without"
            " 'kho=on liveupdate=on'"
        )
    try:
        link = AgentLink(options.socket)
        ground.held = link.held()
    except LiveUpdateError as error:
        return str(error)
    if not ground.held and all(each.fd is None for each in options.keep):
        link.close()
        if options.keep:
            raise RefusedError(
                "no service has handed anything over", hint="a service calls warmboot.liveupdate.preserve(NAME, FD)"
            )
        return "no service has handed anything over"
    ground.link = link
    return ""


def _check_file(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", hint="check the path") from None


def _check_descriptor(fd: int | None) -> None:
    if fd is None:
        return
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        raise InputError(
            f"--keep {fd}: no such descriptor", hint="give it to this command by the shell: 5<>FILE"
        ) from None
    if not stat.S_ISREG(mode):
        raise InputError(f"--keep {fd}: no memfd", hint="only memfds can be handed over")


def _check_scratch(options: SwitchOptions, ground: Ground) -> None:
    """The next kernel is loaded into the scratch areas, which have to have room for it, and later for its own start."""
    if ground.link is None:
        return
    sizes = [number(each, 0) for each in (text(f"{_SCRATCH}/scratch_len") or "").split()[:_MOST_AREAS]]
    largest = max((each for each in sizes if each is not None), default=None)
    if largest is None:
        ground.notes.append("how large KHO's scratch areas are is not known: debugfs is not mounted")
        return
    needed = sum(each.stat().st_size for each in options.initrds)
    if needed >= largest:
        raise RefusedError(
            f"the initial RAM disks have {size_text(needed)}, and KHO's largest scratch area {size_text(largest)}",
            hint="boot this kernel with a larger kho_scratch=, as 'warmboot handover cost' computes it",
        )

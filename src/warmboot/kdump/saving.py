"""Saving a dump in the capture kernel: the log first, which is small and tells most, then the dump; and saying so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from warmboot.errors import RefusedError, WarmbootError
from warmboot.kdump.target import Progress, target_of

if TYPE_CHECKING:
    from warmboot.dump.save import Saved
    from warmboot.dump.source import Source
    from warmboot.kdump.config import KdumpConfig
    from warmboot.kdump.target import Place

__all__ = ["LOG", "save_dump"]

LOG = "vmcore-dmesg.txt"


def save_dump(config: KdumpConfig, folder: str, tell: Callable[[str], object], progress: Progress | None) -> Saved:
    """Save what `config` says into a new folder of that name at the target, and `tell` how it went.

    A dump that is not whole is an answer. Raises WarmbootError where there is none, which is told too.
    """
    target = target_of(config)
    try:
        saved, name = _save(config, folder, tell, progress)
    except WarmbootError as error:
        tell(f"no dump at {target.name}: {error}")
        raise
    except (OSError, MemoryError) as error:
        why = "not enough memory" if isinstance(error, MemoryError) else str(error)
        tell(f"no dump at {target.name}: {why}")
        raise RefusedError(f"no dump at {target.name}: {why}", hint="reserve more memory, or see the log") from None
    tell(f"the dump is saved: {name}" if saved.complete else f"the dump is not whole: {name}: {saved.missing}")
    return saved


def _save(
    config: KdumpConfig, folder: str, tell: Callable[[str], object], progress: Progress | None
) -> tuple[Saved, str]:
    from warmboot.dump.opening import open_dump  # noqa: PLC0415

    source = open_dump(config.vmcore)
    with target_of(config).place(folder) as place:
        _save_log(source, place, tell)
        return place.save(source, config, progress), place.name


def _save_log(source: Source, place: Place, tell: Callable[[str], object]) -> None:
    """A log that cannot be read or written is no reason to leave the dump."""
    from warmboot.dump.log import log_text  # noqa: PLC0415

    lines = list[str]()
    try:
        try:
            lines.extend(f"{line}\n" for line in log_text(source))
        finally:
            if lines:
                place.put(LOG, "".join(lines).encode("utf-8", "backslashreplace"))
    except WarmbootError as error:
        tell(f"the log is not saved: {error}")

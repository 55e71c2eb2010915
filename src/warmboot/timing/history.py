"""The times of boots that went before, in /var/lib/warmboot/boot-times.json: newest first, a few of each kind."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from warmboot.errors import RefusedError
from warmboot.live.kexec_call import FOLDER
from warmboot.timing.figures import BootTime, TimeFigures, TimePart

__all__ = ["keep", "read_history", "with_history"]

_NAME = "boot-times.json"
_VERSION, _MOST, _LARGEST = 1, 16, 1 << 20  # boots, and bytes of the file


def with_history(figures: TimeFigures, root: str = "/") -> TimeFigures:
    """The figures with the boots to compare with."""
    others = [each for each in read_history(root) if each.boot_id != figures.this.boot_id]
    last, firmware = (next((each for each in others if each.how == how), None) for how in ("kexec", "firmware"))
    return TimeFigures(figures.this, last, firmware, figures.silences)


def read_history(root: str = "/") -> list[BootTime]:
    """The boots that are kept; none where the file is missing, or not to be understood."""
    try:
        data = (Path(root) / FOLDER / _NAME).read_bytes()
        found = json.loads(data) if len(data) <= _LARGEST else None
        kept = found["boots"] if found and found["version"] == _VERSION else []
        return [_boot(each) for each in kept[:_MOST]]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []


def keep(boot: BootTime, root: str = "/") -> None:
    """Put a boot before those that are kept; one that was kept already stays as it was first seen, which is surest.

    Raises RefusedError where it cannot be written.
    """
    kept = read_history(root)
    if not boot.boot_id or any(each.boot_id == boot.boot_id for each in kept):
        return
    path = Path(root) / FOLDER / _NAME
    new = path.with_suffix(".new")
    document = {"version": _VERSION, "boots": [asdict(each) for each in [boot, *kept][:_MOST]]}
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump(document, file)
        new.replace(path)
    except OSError as error:
        raise RefusedError(
            f"{path}: cannot be written: {error.strerror}", hint="run it as root, so that times can be compared"
        ) from None


def _boot(found: dict[str, Any]) -> BootTime:
    """Raises KeyError, TypeError, ValueError for what is none."""
    parts = tuple(TimePart(str(each["name"]), float(each["seconds"]), str(each["what"])) for each in found["parts"])
    return BootTime(
        str(found["boot_id"]),
        str(found["how"]),
        str(found["release"]),
        float(found["started"]),
        float(found["seconds"]),
        parts,
        tuple(map(str, found["notes"])),
    )

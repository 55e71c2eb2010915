"""What is installed so that the agent runs from the start of the computer: a unit of systemd."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from warmboot.errors import RefusedError
from warmboot.files.whole_file import write_whole
from warmboot.visible import visible

__all__ = ["UNIT", "install"]

UNIT = "warmboot-switch.service"


def install(root: Path, program: str, *, dry_run: bool = False) -> tuple[str, str]:
    """The unit's path below `root`, and what became of it: written, replaced or unchanged. Raises RefusedError."""
    text = files("warmboot.switching").joinpath("files", UNIT).read_text("utf-8").replace("@warmboot@", program)
    path = root / "etc/systemd/system" / UNIT
    try:
        there = path.read_text("utf-8", "replace") if path.is_file() else None
        what = "written" if there is None else "unchanged" if there == text else "replaced"
        if not dry_run and what != "unchanged":
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text.encode(), 0o644)
    except OSError as error:
        raise RefusedError(f"{visible(str(path))}: cannot be written: {error.strerror}", hint="as root") from None
    return str(path), what

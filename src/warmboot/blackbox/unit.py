"""The service that says at each boot that user space is up, and the folder in which loads are noted."""

from __future__ import annotations

from pathlib import Path

from warmboot.blackbox.state import FOLDER
from warmboot.errors import RefusedError
from warmboot.files.whole_file import write_whole
from warmboot.live.files import under

__all__ = ["UNIT", "has_unit", "unit_text", "write_unit"]

UNIT = "warmboot-blackbox.service"
_SYSTEM = "etc/systemd/system"
_WANTS = "multi-user.target.wants"


def has_unit(root: str = "/") -> bool:
    """Whether the service and the folder are there."""
    return Path(under(root, f"{_SYSTEM}/{UNIT}")).exists() and Path(under(root, FOLDER)).is_dir()


def unit_text(program: str) -> str:
    """The unit of systemd; `program` is warmboot's path.

    It runs once what a boot is for is up: a machine that hangs before that has not arrived, and the watchdog of
    --rescue resets it.
    """
    return f"""\
[Unit]
Description=The new kernel of a kexec is up: mark it in warmboot's black box
Documentation=man:warmboot-blackbox(1)
After=multi-user.target
ConditionPathIsDirectory=/{FOLDER}

[Service]
Type=oneshot
ExecStart={program} blackbox arrived

[Install]
WantedBy=multi-user.target
"""


def write_unit(program: str, root: str = "/") -> Path | None:
    """Write and enable it, and make the folder of the notes; its path, None where systemd is not there.

    Raises RefusedError where something cannot be written.
    """
    system = Path(under(root, _SYSTEM))
    try:
        Path(under(root, FOLDER)).mkdir(parents=True, exist_ok=True)
        if not system.is_dir():
            return None
        write_whole(system / UNIT, unit_text(program).encode())
        link = system / _WANTS / UNIT
        link.parent.mkdir(exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(f"../{UNIT}")
    except OSError as error:
        raise RefusedError(f"{error.filename}: cannot be written: {error.strerror}", hint="run it as root") from None
    return system / UNIT

"""What is installed so that kdump works by itself: a unit of systemd, a hook for new kernels, a module of dracut."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from warmboot.errors import RefusedError
from warmboot.files.whole_file import write_whole
from warmboot.kdump.templates import template
from warmboot.visible import visible

__all__ = ["UNIT", "Installed", "install"]

UNIT = "warmboot-kdump.service"
_DRACUT = "usr/lib/dracut/modules.d"
_POSTINST = "etc/kernel/postinst.d"
_SYSTEM = "etc/systemd/system"


@dataclass(frozen=True, slots=True)
class Installed:
    """A file, and what became of it: written, replaced, unchanged, or kept as it was."""

    path: str
    what: str


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    text: str
    mode: int = 0o644
    keep: bool = False  # what is there is an administrator's


def install(root: Path, program: str, *, enable: bool = False, dry_run: bool = False) -> list[Installed]:
    """Install into `root`, which a system has or will have as /; `program` is warmboot's path there.

    With `dry_run` nothing is written. Raises RefusedError where something cannot be.
    """
    done = []
    for file in _files(root, program):
        path = root / file.path
        try:
            there = path.read_text("utf-8", "replace") if path.is_file() else None
            same = there == file.text and stat.S_IMODE(path.stat().st_mode) == file.mode
            what = "written" if there is None else "unchanged" if same else "kept" if file.keep else "replaced"
            if not dry_run and what in ("written", "replaced"):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, file.text.encode(), file.mode)
        except OSError as error:
            raise RefusedError(f"{visible(str(path))}: cannot be written: {error.strerror}", hint="as root") from None
        done.append(Installed(str(path), what))
    if enable:
        done.append(_enable(root, dry_run=dry_run))
    return done


def _files(root: Path, program: str) -> Iterator[_File]:
    yield _File("etc/warmboot/kdump.toml", template("kdump.toml"), keep=True)
    yield _File(f"{_SYSTEM}/{UNIT}", template(f"systemd/{UNIT}", warmboot=program))
    if (root / _POSTINST).is_dir():
        yield _File(f"{_POSTINST}/zz-warmboot-kdump", template("systemd/postinst", warmboot=program), 0o755)
    if (root / _DRACUT).is_dir():
        for name in ("module-setup.sh", "cmdline.sh", "pre-mount.sh"):
            yield _File(f"{_DRACUT}/99warmboot-kdump/{name}", template(f"dracut/{name}"), 0o755)


def _enable(root: Path, *, dry_run: bool) -> Installed:
    """What `systemctl enable` does, which cannot be asked for another root."""
    link = root / _SYSTEM / "basic.target.wants" / UNIT
    if link.is_symlink():
        return Installed(str(link), "unchanged")
    if not dry_run:
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(f"../{UNIT}")
        except OSError as error:
            raise RefusedError(f"{link}: cannot be made: {error.strerror}", hint="as root") from None
    return Installed(str(link), "written")

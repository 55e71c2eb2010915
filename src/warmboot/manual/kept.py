"""Files that are made from the code and kept in the repository: written where they differ, or named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["keep"]


def keep(folder: Path, wanted: Mapping[str, str], *, check: bool) -> list[Path]:
    """Make `folder` hold these files, by their paths below it, and no others; with `check` change nothing.

    The paths of what was out of date, sorted.
    """
    texts = {folder / name: text for name, text in wanted.items()}
    there = {path for path in folder.rglob("*") if path.is_file()}
    stale = sorted(
        path for path in texts.keys() | there if path not in there or texts.get(path) != path.read_text("utf-8")
    )
    for path in [] if check else stale:
        if path in texts:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts[path], "utf-8")
        else:
            path.unlink()
    return stale

"""The files that kdump installs and puts into initrds, as they lie in this package, with @NAMES@ filled in."""

from __future__ import annotations

import re
from importlib.resources import files

from warmboot.errors import InputError

__all__ = ["launcher", "template"]

_NAME = re.compile(r"@([a-z]+)@")


def template(name: str, **values: str) -> str:
    """The text of that file; every @name@ in it is one of `values`. Raises InputError where the file is missing."""
    try:
        text = files("warmboot.kdump").joinpath("files", name).read_text("utf-8")
    except OSError as error:
        raise InputError(f"{name} is not installed: {error.strerror}", hint="install warmboot again") from None
    return _NAME.sub(lambda found: values[found[1]], text)


def launcher() -> str:
    """A shell script that is this very warmboot, isolated, wherever it was started from."""
    import shlex  # noqa: PLC0415 - where a launcher is written
    import sys  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    import warmboot  # noqa: PLC0415

    folder = str(Path(warmboot.__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {folder!r}); from warmboot.cli.main import main; sys.exit(main())"
    return f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -IB -c {shlex.quote(code)} "$@"\n'

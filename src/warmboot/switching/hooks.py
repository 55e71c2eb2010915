"""Programs of the administrator's that are told of a switch: /etc/warmboot/switch.d/*, and --hook PROGRAM.

Each is run with one word: `prepare` before the kernel is loaded, `freeze` just before the jump, `thaw` where the switch
is called off after either, `resumed` after the jump.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

from warmboot.errors import InputError, RefusedError
from warmboot.programs import clean_environment
from warmboot.visible import visible

__all__ = ["FOLDER", "found_hooks", "run_hooks"]

FOLDER = Path("/etc/warmboot/switch.d")
_MOST = 64
_LAST_WORDS = 300  # characters of what a hook says


def found_hooks(named: Sequence[Path], folder: Path = FOLDER) -> tuple[Path, ...]:
    """The programs in `folder`, in the order of their names, then those that are `named`.

    Raises InputError for what is no program, or could be written by another user than root.
    """
    try:
        there = sorted(each for each in folder.iterdir() if not each.name.startswith(".") and os.access(each, os.X_OK))
    except OSError:
        there = []
    hooks = (*(each for each in there if each.is_file()), *(each.absolute() for each in named))
    if len(hooks) > _MOST:
        raise InputError(f"{len(hooks)} hooks", hint=f"{_MOST} are the most")
    for each in hooks:
        _check(each)
    return hooks


def _check(hook: Path) -> None:
    try:
        status = hook.stat()
    except OSError as error:
        raise InputError(f"{visible(str(hook))}: {error.strerror}", hint="give --hook a program") from None
    if not stat.S_ISREG(status.st_mode) or not os.access(hook, os.X_OK):
        raise InputError(f"{visible(str(hook))}: not a program", hint="chmod +x")
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
        raise InputError(
            f"{visible(str(hook))}: others than root may write it, and it would run as root",
            hint="chown root, and chmod go-w",
        )


def run_hooks(hooks: Sequence[Path], word: str, timeout: float, *, identity: str, strict: bool = True) -> None:
    """Run each with `word`, and SWITCH_ID=`identity` in its environment, for at most `timeout` seconds.

    Raises RefusedError at the first that fails, unless `strict` is false: then all are run.
    """
    for each in hooks:
        problem = _run(each, word, timeout, identity)
        if problem and strict:
            raise RefusedError(f"hook {visible(str(each))} {word}: {problem}", hint="mend it, or take it away")


def _run(hook: Path, word: str, timeout: float, identity: str) -> str:
    environment = clean_environment(SWITCH_ID=identity)
    try:
        done = subprocess.run(
            [str(hook), word],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not done after {timeout:g} s"
    except OSError as error:
        return error.strerror or str(error)
    if done.returncode == 0:
        return ""
    said = visible(done.stdout.decode("utf-8", "replace").strip(), most=_LAST_WORDS)
    return f"exit status {done.returncode}" + (f": {said}" if said else "")

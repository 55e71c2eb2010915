"""Debian's crash(8) as a reader to compare with: unpacked into the cache, run with its own libraries and gdb."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from support.debian_program import command_of
from warmboot.debian import Suite

__all__ = ["COMMANDS", "Told", "crash"]

_LIBRARIES = (
    "libc6",
    "libgcc-s1",
    "libgmp10",
    "liblzo2-2",
    "libmpfr6",
    "libncursesw6",
    "libsnappy1v5",
    "libstdc++6",
    "libtinfo6",
    "libzstd1",
    "zlib1g",
)
_PATIENCE = 400  # seconds: it reads the debug information of a whole kernel
COMMANDS = ("sys", "ps", "bt", "log")
Told = dict[str, str]  # what each command printed
_MARK = "warmboot-mark"


@cache
def _command() -> tuple[str, ...]:
    return command_of(Suite("sid").fetch(["crash", *_LIBRARIES]), "bin/crash")


def crash(dump: Sequence[Path], image: Path, folder: Path, commands: Sequence[str] = COMMANDS) -> Told:
    """What crash says of a dump, one file or the files of a split one, with the vmlinux of its kernel.

    `folder` is one to write in. Raises AssertionError where crash fails, or warns of the dump.
    """
    script = folder / "crash-commands"
    script.write_text("".join(f"!echo {_MARK} {each}\n{each}\n" for each in commands) + f"!echo {_MARK}\nquit\n")
    words = [*_command(), "-s", "-x", "--no_crashrc", "--no_kmem_cache", "-i", str(script), str(image)]
    done = subprocess.run(
        [*words, *map(str, dump)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=_PATIENCE,
        cwd=folder,
        env={"TERM": "dumb", "HOME": str(folder), "PATH": "/usr/bin:/bin"},
    )
    text = done.stdout.decode("utf-8", "replace")
    said = text + done.stderr.decode("utf-8", "replace")
    assert done.returncode == 0, said[-2000:]
    parts = re.split(rf"^{_MARK} ?(.*)\n", text, flags=re.MULTILINE)
    told = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert [each for each in told if each] == list(commands), said[-2000:]
    for name, each in told.items():
        assert not re.search(r"^(crash|bt|ps|log|sys): ", each, re.MULTILINE), (name, each[-2000:])
    return told

"""An ordinary user in a fresh environment: a home of its own, no capability, and none of our variables."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from warmboot.debian import cache_folder

__all__ = ["fresh_home", "pip_settings", "run_as_ordinary_user"]

_NOBODY = 65534
_PRIVILEGE = ("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--no-new-privs")
_NO_CAPABILITIES = ("--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all")
_LEFT_OUT = ("disk-*", "*.lock", "OVMF*")  # of the cache: what examples do not use


@contextmanager
def fresh_home(files: Path) -> Iterator[Path]:
    """A folder with a copy of `files`, and of the cache as .cache/warmboot, which the ordinary user owns."""
    home = Path(tempfile.mkdtemp(prefix="warmboot-home-", dir="/var/tmp"))
    try:
        shutil.copytree(files, home, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
        for name in ("kernels", "guest"):
            shutil.copytree(
                cache_folder() / name,
                home / ".cache/warmboot" / name,
                ignore=shutil.ignore_patterns(*_LEFT_OUT),
                symlinks=True,
            )
        if os.getuid() == 0:
            home.chmod(0o755)
            for path in [home, *home.rglob("*")]:
                os.lchown(path, _NOBODY, _NOBODY)
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def run_as_ordinary_user(
    command: str, home: Path, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell's in `home`; all that it prints is in `stdout`."""
    drop = [*_PRIVILEGE, *_NO_CAPABILITIES] if os.getuid() == 0 else []
    return subprocess.run(
        [*drop, "sh", "-e", "-c", command],
        cwd=home,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home), "LC_ALL": "C.UTF-8", **(variables or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )


def pip_settings() -> dict[str, str]:
    """Where pip takes packages from on this computer, as variables: its files are not the ordinary user's."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    settings = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        settings[f"PIP_{name.rpartition('.')[2].replace('-', '_').upper()}"] = value.strip("'\"")
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return {**settings, **proxies}

"""Programs are the system's, and see nothing of the caller's environment but where the network is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from warmboot.programs import clean_environment, find_program


def test_a_program_is_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "sh"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program("sh") in ("/usr/bin/sh", "/bin/sh")
    assert find_program("no-such-program") is None
    assert find_program(str(mine)) == str(mine)


def test_only_the_network_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APT_CONFIG", "GNUPGHOME", "LD_PRELOAD", "TAR_OPTIONS", "BASH_ENV", "HTTP_PROXYX"):
        monkeypatch.setenv(name, "/nowhere")
    for name in ("http_proxy", "HTTPS_PROXY", "no_proxy"):
        monkeypatch.setenv(name, f"of {name}")
    for name in ("https_proxy", "HTTP_PROXY", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    program = find_program("env")
    assert program is not None
    said = subprocess.run([program], env=clean_environment(MORE="1"), capture_output=True, text=True, check=True).stdout
    assert dict(line.split("=", 1) for line in said.splitlines()) == {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "MORE": "1",
        **{name: f"of {name}" for name in ("http_proxy", "HTTPS_PROXY", "no_proxy")},
    }

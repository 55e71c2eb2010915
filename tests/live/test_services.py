"""Which command brings a computer down in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.computers import tree
from warmboot.live.services import kexec_command, shutdown_commands, systemd_is_running

pytestmark = pytest.mark.needs_namespaces


def test_systemd(tmp_path: Path) -> None:
    root = tree(tmp_path, {"usr/bin/systemctl": "#!/bin/sh\n"})
    systemctl = root / "usr/bin/systemctl"
    systemctl.chmod(0o755)
    assert not systemd_is_running(str(root))
    assert kexec_command(str(root)) is None
    (root / "run/systemd/system").mkdir(parents=True)
    assert systemd_is_running(str(root))
    assert kexec_command(str(root)) == (str(systemctl), "kexec")
    systemctl.chmod(0o644)
    assert kexec_command(str(root)) is None


def test_shutdown() -> None:
    """Where kexec-tools looks, in its order."""
    places = ("/sbin/shutdown", "/etc/shutdown", "/bin/shutdown")
    assert shutdown_commands() == tuple((place, "-r", "now") for place in places)

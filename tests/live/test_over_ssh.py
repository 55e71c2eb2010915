"""`warmboot facts HOST...` with a real sshd, which is Debian's, on a port of 127.0.0.1."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from support.kdump_root import kdump_root
from warmboot.memmap import Facts

pytestmark = [pytest.mark.needs_apt, pytest.mark.needs_root, pytest.mark.one_process]

# One key gets a shell that says something else and ends, another one that says nothing for a minute.
SCRIPT = """\
set -eu
cd /tmp
ssh-keygen -q -t ed25519 -N '' -f host; ssh-keygen -q -t ed25519 -N '' -f mine; ssh-keygen -q -t ed25519 -N '' -f other
ssh-keygen -q -t ed25519 -N '' -f slow
{ cat mine.pub; echo "command=\\"echo hello\\" $(cat other.pub)"; echo "command=\\"sleep 60\\" $(cat slow.pub)"; } >keys
cat >sshd_config <<END
Port PORT
ListenAddress 127.0.0.1
HostKey /tmp/host
AuthorizedKeysFile /tmp/keys
StrictModes no
PidFile none
END
cat >ssh_config <<END
Host gone
  Port 1
Host *
  HostName 127.0.0.1
  Port PORT
  User root
  IdentityFile /tmp/mine
  IdentitiesOnly yes
  UserKnownHostsFile /tmp/known
END
sed 's/mine/other/' ssh_config >ssh_other; sed 's/mine/slow/' ssh_config >ssh_slow
echo "[127.0.0.1]:PORT $(cat host.pub)" >known
/usr/sbin/sshd -D -e -f /tmp/sshd_config >/mnt/sshd.log 2>&1 &
until ssh -F ssh_config web1 true 2>/mnt/waiting; do kill -0 $!; sleep 0.2; done
ask() {
    status=0; name=$1; shift
    warmboot facts "$@" >/mnt/$name.out 2>/mnt/$name.err || status=$?
    echo $status >/mnt/$name
}
ask all --ssh-config ssh_config web1 gone root@web2
ask other --ssh-config ssh_other web1
ask slow --ssh-config ssh_slow --timeout 3 web1
ask nobody --ssh-config ssh_config nobody@web1
"""


def test_hosts(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = kdump_root().run(SCRIPT.replace("PORT", str(port)), {"none": b""}, tmp_path)
    log = (tmp_path / "sshd.log").read_text() if (tmp_path / "sshd.log").exists() else ""
    assert done.returncode == 0, done.stdout + done.stderr + log

    def told(name: str) -> tuple[int, str, list[str]]:
        err = (tmp_path / f"{name}.err").read_text().splitlines()
        return int((tmp_path / name).read_text()), (tmp_path / f"{name}.out").read_text(), err

    status, out, err = told("all")
    assert status == 3
    one, two = (json.loads(line) for line in out.splitlines())
    assert (one["name"], two["name"]) == ("web1", "root@web2")
    assert Facts.from_json(json.dumps(one)).iomem == Path("/proc/iomem").read_text()
    assert one["release"] == Path("/proc/sys/kernel/osrelease").read_text().strip()
    problems = [each for each in err if "lacking" not in each]
    assert problems[0].startswith("warmboot: gone: ssh: connect to host 127.0.0.1 port 1: Connection refused")
    assert problems[1].startswith("  try: ")
    for name, what, expected in (
        ("other", "and printed something else", 2),
        ("slow", "no answer in 3 seconds", 3),
        ("nobody", "and printed something else", 2),
    ):
        status, out, err = told(name)
        assert (status, out, len(err)) == (expected, "", 2), name
        assert what in err[0]
        assert err[1].startswith("  try: ")

"""Where dumps go, on this computer: checks before a crash, files whole or not at all, and what is told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from warmboot.cli.main import main
from warmboot.debian import cpio
from warmboot.errors import InputError, RefusedError
from warmboot.files.mapped import map_file
from warmboot.kdump.config import KdumpConfig, read_kdump_config
from warmboot.kdump.expected import expected_size
from warmboot.kdump.fit import fit
from warmboot.kdump.initrd_size import unpacked_size
from warmboot.kdump.install import install
from warmboot.kdump.mounts import mount_of
from warmboot.kdump.over_ssh import ssh_command
from warmboot.kdump.resolved import hosts_line
from warmboot.kdump.target import target_of
from warmboot.kdump.to_nfs import nfs_host
from warmboot.kdump.told import TOLD, tell

MOUNTINFO = r"""22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
30 22 259:3 /@var /var rw shared:2 - btrfs /dev/nvme0n1p3 rw
31 30 259:4 / /var/crash\040here rw shared:3 - xfs /dev/mapper/vg-crash rw
"""


def test_a_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    config = KdumpConfig(Path("/k"), folder=tmp_path / "crash")
    assert [each.ok for each in target_of(config).check(1 << 20)] == [True, True]
    assert list((tmp_path / "crash").iterdir()) == []
    [_, room] = target_of(config).check(1 << 60)
    assert room.ok is False
    (tmp_path / "file").write_bytes(b"")
    [writable] = target_of(KdumpConfig(Path("/k"), folder=tmp_path / "file/x")).check(0)
    assert writable.ok is False
    with target_of(config).place("now") as place, pytest.raises(RefusedError, match="cannot be written"):
        place.put("no/such", b"")


def test_the_file_system_of_a_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTINFO)
    crash = mount_of(Path("/var/crash here/x"), tmp_path / "mountinfo")
    assert crash is not None
    assert (crash.source, crash.type, crash.root) == ("/dev/mapper/vg-crash", "xfs", "/")
    var = mount_of(Path("/var/crash"), tmp_path / "mountinfo")
    assert var is not None
    assert (var.source, var.root, str(var.point)) == ("/dev/nvme0n1p3", "/@var", "/var")


def test_what_a_capture_kernel_says_is_in_the_log_and_in_pstore(tmp_path: Path) -> None:
    """Files stand for the devices; a kernel without /dev/pmsg0 gets none made."""
    for name in ("dev", "run"):
        (tmp_path / name).mkdir()
    (tmp_path / "dev/kmsg").write_bytes(b"")
    assert tell("no dump:\na disk that is full", tmp_path) == ("/dev/kmsg",)
    assert (tmp_path / "dev/kmsg").read_bytes() == b"<2>warmboot kdump: no dump: a disk that is full\n"
    assert not (tmp_path / "dev/pmsg0").exists()
    assert (tmp_path / TOLD).exists()
    (tmp_path / "dev/pmsg0").write_bytes(b"")
    assert tell("x" * 5000, tmp_path) == ("/dev/kmsg", "/dev/pmsg0")
    assert len((tmp_path / "dev/pmsg0").read_bytes()) < 1000


def test_ssh_is_told_everything_and_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmboot.kdump.over_ssh.find_program", lambda name: f"/usr/bin/{name}")
    command = ssh_command(KdumpConfig(Path("/k"), ssh="kdump@host", ssh_port=2222), "true")
    assert command[-3:] == ["--", "kdump@host", "true"]
    assert {"StrictHostKeyChecking=yes", "BatchMode=yes"} <= set(command)
    assert command[1:3] == ["-F", "none"]


def test_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert nfs_host("[fe80::1]:/a/b") == ("fe80::1", "/a/b")
    assert nfs_host("host:/") == ("host", "/")
    assert hosts_line("127.0.0.1") == ""
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("192.0.2.7", 0))])
    assert hosts_line("server") == "192.0.2.7 server\n"


def test_how_much_a_dump_may_have(tmp_path: Path) -> None:
    path = tmp_path / "meminfo"
    path.write_text(
        "MemTotal: 1000000 kB\nMemFree: 400000 kB\nCached: 100000 kB\nBuffers: 0 kB\nAnonPages: 300000 kB\n"
    )
    everything, kernel = expected_size(0, path), expected_size(31, path)
    assert everything == (1000000 << 10) * 17 // 16
    assert kernel == (200000 << 10) * 17 // 16
    assert expected_size(0, tmp_path / "none") is None


def test_an_initrd_is_measured_unpacked(tmp_path: Path) -> None:
    one = cpio.archive([cpio.file("a", bytes(5000)), cpio.directory("d")])
    path = tmp_path / "initrd"
    path.write_bytes(one + bytes(512) + gzip.compress(one, mtime=0))
    assert unpacked_size(map_file(path), "initrd") == 4 * 4096
    (tmp_path / "vmlinuz").write_bytes(b"no kernel")
    found = fit(tmp_path / "vmlinuz", (path,), 1 << 30)
    assert (found.fits, found.packed) == (True, path.stat().st_size)
    assert fit(tmp_path / "vmlinuz", (path,), 64 << 20).fits is False
    for bad in (b"070701" * 30, b"070701zzzzzzzz" + bytes(120), b"no archive"):
        path.write_bytes(bad)
        with pytest.raises(InputError, match="initrd"):
            unpacked_size(map_file(path), "initrd")


def test_what_is_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "usr/lib/dracut/modules.d").mkdir(parents=True)
    (tmp_path / "etc/kernel/postinst.d").mkdir(parents=True)
    words = ["kdump", "install", "--root", str(tmp_path), "--program", "/opt/w"]
    assert main([*words, "--dry-run"]) == 0
    assert not (tmp_path / "etc/warmboot").exists()
    assert main([*words, "--enable"]) == 0
    unit = (tmp_path / "etc/systemd/system/warmboot-kdump.service").read_text()
    assert "ExecStart=/opt/w kdump load" in unit
    assert "ExecStop=/opt/w kdump unload" in unit
    assert "ConditionKernelCommandLine=crashkernel" in unit
    assert (tmp_path / "etc/systemd/system/basic.target.wants/warmboot-kdump.service").is_symlink()
    toml = tmp_path / "etc/warmboot/kdump.toml"
    assert read_kdump_config(toml).level == 31
    toml.write_text("level = 1\n")
    (tmp_path / "etc/systemd/system/warmboot-kdump.service").write_text("old")
    assert {each.what for each in install(tmp_path, "/opt/w", enable=True)} == {"kept", "replaced", "unchanged"}
    assert toml.read_text() == "level = 1\n"
    for line in toml.read_text().splitlines():
        assert read_kdump_config(toml), line
    capsys.readouterr()


def test_every_example_in_the_configuration_is_one(tmp_path: Path) -> None:
    install(tmp_path, "/w")
    lines = (tmp_path / "etc/warmboot/kdump.toml").read_text().splitlines()
    names = [line.removeprefix("#") for line in lines if "=" in line]
    assert len(names) > 8
    for each in names:
        (tmp_path / "one.toml").write_text(each)
        assert read_kdump_config(tmp_path / "one.toml")


def test_what_status_and_test_say_of_a_computer_without_a_reservation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kdump.toml"
    path.write_text(f'kernel = "{tmp_path}/none"\ninitrd = "{tmp_path}/none"\nfolder = "{tmp_path}/crash"\n')
    assert main(["kdump", "status", "--config", str(path), "--json"]) == 1
    state = json.loads(capsys.readouterr().out)
    assert f"{tmp_path}/none is missing" in state["problems"]
    assert main(["kdump", "test", "--quick", "--config", str(path)]) == 1
    assert "cannot be read" in capsys.readouterr().out
    assert main(["kdump", "test", "--config", str(path), "--json"]) == 1
    assert [each["ok"] for each in json.loads(capsys.readouterr().out)["checks"]][:2] == [False, True]

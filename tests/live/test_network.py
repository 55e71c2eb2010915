"""Interfaces go down before another kernel starts: in a network of the test's own, side by side with kexec-tools."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.computers import tree
from support.kexec_tools import kexec_tools
from support.peer import Reboot, captured

pytestmark = pytest.mark.needs_namespaces

# Make two Ethernet interfaces with a cable between them, bring them and the loopback up, run a command, tell who is up.
NETWORK = """
import fcntl, os, socket, struct, subprocess, sys
def attribute(kind, data):
    return struct.pack("<HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)
def request(kind, flags, index, body, up=0):
    message = struct.pack("<BxHiII", 0, 0, index, up, up) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.send(struct.pack("<IHHII", 16 + len(message), kind, flags | 5, 1, 0) + message)
        answer = struct.unpack_from("<i", netlink.recv(4096), 16)[0]
        if answer:
            raise OSError(-answer, os.strerror(-answer))
IFNAME, LINKINFO, INFO_KIND, NEWLINK, SETLINK = 3, 18, 1, 16, 19
link = attribute(IFNAME, b"cable0\\0") + attribute(LINKINFO, attribute(INFO_KIND, b"veth"))
request(NEWLINK, 0x600, 0, link)
for index, name in socket.if_nameindex():
    request(NEWLINK, 0, index, b"", up=1)
def up():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as any:
        for _, name in socket.if_nameindex():
            if fcntl.ioctl(any, 0x8913, name.encode().ljust(40, b"\\0"))[16] & 1:
                yield name
print(len(list(up())), "up")
sys.stdout.flush()
subprocess.run(sys.argv[1:])
print("left:", *up())
"""
OURS = """
import os
from warmboot.live.calls import reboot_kexec
from warmboot.live.network import interfaces_down
os.setuid({uid})
for name, error in interfaces_down():
    print(name, error.strerror)
reboot_kexec()
"""


@pytest.mark.parametrize("who", ["ours", "theirs"])
def test_all_but_the_loopback_go_down(who: str, tmp_path: Path) -> None:
    command = [*kexec_tools("sid"), "-e"] if who == "theirs" else [sys.executable, "-c", OURS.format(uid=0)]
    root = tree(tmp_path, {"sys/kernel/kexec_loaded": "1\n"})
    found = captured([sys.executable, "-I", "-c", NETWORK, *command], root)
    assert found.stdout.splitlines() == ["3 up", "left: lo"], found
    assert found.calls == (Reboot(0x45584543),)


@pytest.mark.needs_root  # another user's namespace maps one user alone
def test_an_interface_that_stays_up_is_named(tmp_path: Path) -> None:
    """Without privilege none can be taken down, and each is tried."""
    root = tree(tmp_path, {})
    found = captured([sys.executable, "-I", "-c", NETWORK, sys.executable, "-c", OURS.format(uid=65534)], root)
    lines = found.stdout.splitlines()
    assert lines[0] == "3 up", found
    assert sorted(lines[1:3]) == [f"{name} Operation not permitted" for name in ("cable0", "veth0")], found

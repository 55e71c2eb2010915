"""What a service does in a guest: memfds with known content, preserved in sessions, and taken back on the other side.

It runs there as a program of its own: preserve.py keep|take SESSION TOKEN:SIZE[:SEALS]...
"""

from __future__ import annotations

import fcntl
import os
import random
import struct
import sys
import time
from collections.abc import Iterator

CREATE, RETRIEVE, PRESERVE, RETRIEVE_FD, FINISH = 0xBA00, 0xBA01, 0xBA40, 0xBA41, 0xBA42
MIB = 1 << 20


def content(token: int, size: int) -> Iterator[bytes]:
    """The bytes of a file, in pieces of a MiB: random ones, each piece turned further, so that no two pages agree."""
    base = random.Random(token).randbytes(MIB)
    for number in range(-(-size // MIB)):
        at = number * 4099 % MIB
        yield (base[at:] + base[:at])[: size - number * MIB]


def words(files: dict[int, int], seals: int = 0) -> str:
    """These files as arguments: bytes by token."""
    return " ".join(f"{token}:{size}:{seals}" for token, size in files.items())


def _session(device: int, call: int, name: str) -> int:
    data = bytearray(struct.pack("<Ii64s", 72, -1, name.encode()))
    fcntl.ioctl(device, call, data)
    [fd] = struct.unpack_from("<i", data, 4)
    return int(fd)


def keep(name: str, files: list[str]) -> None:
    """Make the files and preserve them; then wait, holding the session, which ends with its descriptor."""
    device = os.open("/dev/liveupdate", os.O_RDWR)
    session = _session(device, CREATE, name)
    for each in files:
        token, size, seals = ([*map(int, each.split(":")), 0])[:3]
        memfd = os.memfd_create(f"{token}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        for piece in content(token, size):
            os.write(memfd, piece)
        if seals:
            fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, seals)
        os.lseek(memfd, token, os.SEEK_SET)
        fcntl.ioctl(session, PRESERVE, struct.pack("<IiQ", 16, memfd, token))
    os.close(device)
    print("kept", flush=True)
    os.setsid()
    while True:
        time.sleep(1000)


def take(name: str, files: list[str]) -> None:
    """Take the files back, and compare them."""
    device = os.open("/dev/liveupdate", os.O_RDWR)
    session = _session(device, RETRIEVE, name)
    for each in files:
        token, size = map(int, each.split(":")[:2])
        data = bytearray(struct.pack("<IiQ", 16, -1, token))
        fcntl.ioctl(session, RETRIEVE_FD, data)
        [memfd] = struct.unpack_from("<i", data, 4)
        whole = os.fstat(memfd).st_size == size and os.lseek(memfd, 0, os.SEEK_CUR) == token
        at = 0
        for piece in content(token, size):
            whole = whole and os.pread(memfd, len(piece), at) == piece
            at += len(piece)
        print(f"taken {name}/{token}", "whole" if whole else "damaged", flush=True)
    fcntl.ioctl(session, FINISH, struct.pack("<II", 8, 0))


if __name__ == "__main__":
    {"keep": keep, "take": take}[sys.argv[1]](sys.argv[2], sys.argv[3:])

#!/usr/bin/python3.11 -IB
"""For `warmboot rehearse --handover`: two memfds in a session of a live update, and the same two found again."""

import fcntl
import os
import struct
import sys
import time

CREATE_SESSION, RETRIEVE_SESSION = 0xBA00, 0xBA01  # _IO(0xBA, number) of include/uapi/linux/liveupdate.h
PRESERVE_FD, RETRIEVE_FD, FINISH = 0xBA40, 0xBA41, 0xBA42
SIZES = {1: 64 << 10, 2: 8 << 20}  # bytes, by token


def page(token: int, at: int) -> bytes:
    """What the page at an offset holds."""
    return struct.pack("<QQ", token, at) * 256


def session(device: int, request: int) -> int:
    """The descriptor of the session called example, new or retrieved."""
    answer = bytearray(struct.pack("<Ii64s", 72, -1, b"example"))
    fcntl.ioctl(device, request, answer)
    return int(struct.unpack_from("<i", answer, 4)[0])


def preserve() -> None:
    """Fill memfds, preserve them, and hold the session until the jump."""
    device = os.open("/dev/liveupdate", os.O_RDWR)
    held = session(device, CREATE_SESSION)
    for token, size in SIZES.items():
        memfd = os.memfd_create(f"state-{token}")
        for at in range(0, size, 4096):
            os.write(memfd, page(token, at))
        fcntl.ioctl(held, PRESERVE_FD, struct.pack("<IiQ", 16, memfd, token))
    print("preserved", flush=True)
    time.sleep(1 << 30)  # a session whose descriptor is closed preserves nothing


def retrieve() -> None:
    """Find them, whole."""
    device = os.open("/dev/liveupdate", os.O_RDWR)
    held = session(device, RETRIEVE_SESSION)
    for token, size in SIZES.items():
        answer = bytearray(struct.pack("<IiQ", 16, -1, token))
        fcntl.ioctl(held, RETRIEVE_FD, answer)
        memfd = struct.unpack_from("<i", answer, 4)[0]
        if os.fstat(memfd).st_size != size:
            sys.exit(f"state-{token} has {os.fstat(memfd).st_size} bytes")
        for at in range(0, size, 4096):
            if os.pread(memfd, 4096, at) != page(token, at):
                sys.exit(f"state-{token} differs at {at:#x}")
        print(f"state-{token}: all {size} bytes are there")
    fcntl.ioctl(held, FINISH, bytearray(struct.pack("<II", 8, 0)))


if __name__ == "__main__":
    {"preserve": preserve, "retrieve": retrieve}[sys.argv[1]]()

"""The first program of a witness guest: it tells the facts, waits for one layout, loads it, and jumps to it.

It runs on the guest's Python, with `agent` beside it, and nothing else of ours. On ttyS1, one line each:

    f PATH TEXT             as `agent` tells it
    ready                   from here on the guest waits, and may be copied

    w ENTRY FLAGS OFFSET TABLE [SOURCE:OFFSET:BUFSZ:MEM:MEMSZ]...
                            what it waits for: TABLE (hexadecimal) is written into the payload at OFFSET; each
                            segment's source is at an offset of /payload (w) or of /pattern (p)

    a RET                   what kexec_load returned; where it is 0, the jump follows
    x TEXT                  the agent itself failed
"""

# ruff: noqa: PTH123, SIM115
# pathlib would cost the guest a second under emulation.

from __future__ import annotations

import ctypes
import os
import struct

from warmboot.oracle.guest import agent

ON_CRASH = 1
TCSANOW = 0
TERMIOS_SIZE = 60

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO


def loaded(path: str) -> ctypes.Array[ctypes.c_char]:
    """A file's bytes, in memory that the kernel can read and we can write."""
    with open(path, "rb") as file:
        content = file.read()
    return ctypes.create_string_buffer(content, len(content))


def make_raw(port: int) -> None:
    """A port that passes bytes on as they are: lines may be longer than a terminal's."""
    settings = ctypes.create_string_buffer(TERMIOS_SIZE)
    agent.libc.tcgetattr(port, settings)
    agent.libc.cfmakeraw(settings)
    agent.libc.tcsetattr(port, TCSANOW, settings)


def jump(flags: int) -> None:
    """By a panic where it is a crash image, else by reboot. It does not come back."""
    if flags & ON_CRASH:
        agent.write_file("/proc/sysrq-trigger", b"c")
    else:
        agent.libc.reboot(agent.KEXEC)
    raise OSError(ctypes.get_errno(), "the jump came back")


def main() -> None:
    """Everything, in order."""
    agent.mount_all()
    port = open(os.open("/dev/ttyS1", os.O_RDWR | os.O_NOCTTY), "r+b", buffering=0)
    make_raw(port.fileno())
    try:
        testify(port)
    except BaseException as error:
        port.write(f"x {error!r}\n".encode())
        agent.libc.tcdrain(port.fileno())
    agent.libc.reboot(agent.POWER_OFF)


def testify(port: BinaryIO) -> None:
    """Facts, one layout, the jump."""
    for path in agent.FACTS:
        port.write(f"f {path} {agent.read_file(path)}\n".encode())
    call, _, _ = agent.prepared_calls()
    payload, pattern = loaded("/payload"), loaded("/pattern")
    port.write(b"ready\n")
    line = b""
    while not line.endswith(b"\n"):
        line += port.read(4096)
    _, entry, flags, offset, table, *segments = line.decode().split()
    content = bytes.fromhex(table)
    ctypes.memmove(ctypes.addressof(payload) + int(offset), content, len(content))
    numbers = []
    for each in segments:
        source, start, bufsz, mem, memsz = each.split(":")
        buf = ctypes.addressof(payload if source == "w" else pattern) + int(start)
        numbers += [buf, int(bufsz), int(mem), int(memsz)]
    ctypes.memmove(agent.TABLE, struct.pack(f"<{len(numbers)}Q", *numbers), 8 * len(numbers))
    ret = call(int(entry), len(segments), agent.TABLE, int(flags))
    port.write(f"a {ret}\n".encode())
    agent.libc.tcdrain(port.fileno())
    if ret == 0:
        jump(int(flags))


if __name__ == "__main__":
    main()

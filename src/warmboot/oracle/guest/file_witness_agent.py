"""The first program of a guest that loads by kexec_file_load: it tells the facts, waits for one image, and jumps to it.

It runs on the guest's Python, with `agent` beside it, and nothing else of ours. On ttyS1, one line each:

    facts                   firmware may have written on the port before
    f PATH TEXT             as `agent` tells it; also what the running kernel hands on, and what it tells of a dump
    ready                   from here on the guest waits, and may be copied

    i FLAGS HEADER OFFSET SIZE CODE INITRD_OFFSET INITRD_SIZE LINE
                            what it waits for: HEADER and LINE are hexadecimal; the kernel's body is SIZE bytes of
                            /pattern from OFFSET on, with CODE (hexadecimal) at its 64-bit entry; the initrd is
                            another part of it, which goes on at its start again

    a RET                   what kexec_file_load returned; where it is 0, the jump follows
    x TEXT                  the agent itself failed
"""

# ruff: noqa: PTH112, PTH123, PTH208, SIM115
# pathlib would cost the guest a second under emulation.

from __future__ import annotations

import ctypes
import os

from warmboot.oracle.guest import agent
from warmboot.oracle.guest.witness_agent import jump, make_raw

NR_KEXEC_FILE_LOAD = 320
ENTRY_64 = 0x200
ON_CRASH_FILE, NO_INITRAMFS = 2, 4
CPUS = "sys/devices/system/cpu"
CRASH = (f"{CPUS}/possible", "sys/kernel/vmcoreinfo", "sys/kernel/crash_elfcorehdr_size")
SETUP_DATA = "sys/kernel/boot_params/setup_data"
MEMMAP = "sys/firmware/memmap"
EFI = "sys/firmware/efi"
DESCRIPTOR = ("type", "phys_addr", "virt_addr", "num_pages", "attribute")
KCORE, KCORE_HEAD = "proc/kcore", 4096

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO


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


def more_facts() -> list[str]:
    """Files of what kexec_file_load hands on, and of what a dump's headers tell."""
    found = ["sys/kernel/boot_params/data", *CRASH]
    for cpu in numbered(CPUS, "cpu"):
        found += [f"{CPUS}/{cpu}/crash_notes", f"{CPUS}/{cpu}/crash_notes_size"]
    for each in numbered(MEMMAP, ""):
        found += [f"{MEMMAP}/{each}/{part}" for part in ("start", "end", "type")]
    for each in numbered(SETUP_DATA, ""):
        found += [f"{SETUP_DATA}/{each}/{part}" for part in ("type", "data")]
    found += [f"{EFI}/{each}" for each in ("systab", "fw_vendor", "runtime", "config_table")]
    for each in numbered(f"{EFI}/runtime-map", ""):
        found += [f"{EFI}/runtime-map/{each}/{part}" for part in DESCRIPTOR]
    return found


def numbered(folder: str, word: str) -> list[str]:
    """What in a folder has that word and a number for its name."""
    names = os.listdir("/" + folder) if os.path.isdir("/" + folder) else []
    return [each for each in names if each.startswith(word) and each[len(word) :].isdigit()]


def testify(port: BinaryIO) -> None:
    """Facts, one image, the jump."""
    port.write(b"\nfacts\n")
    for path in (*agent.FACTS, *more_facts()):
        port.write(f"f {path} {agent.read_file(path)}\n".encode())
    with open("/" + KCORE, "rb", buffering=0) as file:
        port.write(f"f {KCORE} {file.read(KCORE_HEAD).hex()}\n".encode())
    with open("/pattern", "rb") as file:
        pattern = file.read()
    port.write(b"ready\n")
    line = b""
    while not line.endswith(b"\n"):
        line += port.read(4096)
    _, flag_word, header, offset, size, code, initrd_offset, initrd_size, text = line.decode().split(" ")
    flags, entry = int(flag_word), bytes.fromhex(code)
    body = bytearray(pattern[int(offset) : int(offset) + int(size)])
    body[ENTRY_64 : ENTRY_64 + len(entry)] = entry
    kernel = written("/tmp-kernel", bytes.fromhex(header) + body)
    initrd = written("/tmp-initrd", *pieces(pattern, int(initrd_offset), int(initrd_size)))
    given = bytes.fromhex(text)
    answer = agent.libc.syscall(
        NR_KEXEC_FILE_LOAD,
        kernel,
        -1 if flags & NO_INITRAMFS else initrd,
        ctypes.c_ulong(len(given)),
        given,
        ctypes.c_ulong(flags),
    )
    ret = answer if answer == 0 else -ctypes.get_errno()
    port.write(f"a {ret}\n".encode())
    agent.libc.tcdrain(port.fileno())
    if ret == 0:
        jump(int(bool(flags & ON_CRASH_FILE)))


def pieces(pattern: bytes, start: int, size: int) -> list[bytes]:
    """So many bytes of the pattern, over and over."""
    found = [pattern[start : start + size]]
    size -= len(found[0])
    while size > 0:
        found.append(pattern[:size])
        size -= len(found[-1])
    return found


def written(path: str, *parts: bytes) -> int:
    """A descriptor for reading a new file."""
    with open(path, "wb") as file:
        for each in parts:
            file.write(each)
    return os.open(path, os.O_RDONLY)


if __name__ == "__main__":
    main()

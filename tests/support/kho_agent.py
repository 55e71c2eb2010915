"""The first program of a guest whose kernel hands over: it evaluates what it is sent on ttyS1, and answers there.

It runs on the guest's smallest Python, see `warmboot.oracle.guest.root`. `kho_guest` sends one expression a line, and
reads one line: `= ` and a literal, or `! `, an errno or 0, and what is wrong.
"""

# ruff: noqa: PTH103, PTH112, PTH123, PTH208
# pathlib would cost each guest a second under emulation.

from __future__ import annotations

import ctypes
import fcntl
import os
import struct

# uapi/linux/liveupdate.h: _IO(0xBA, number)
CREATE_SESSION, RETRIEVE_SESSION = 0xBA00, 0xBA01
PRESERVE_FD, RETRIEVE_FD, FINISH = 0xBA40, 0xBA41, 0xBA42
NAME = 64  # bytes of a session's name
KEXEC, POWER_OFF = 0x45584543, 0x4321FEDC
NR_KEXEC_FILE_LOAD = 320
PAGE = 4096
KHO = "/sys/kernel/debug/kho"
PORT = "/dev/ttyS1"

libc: ctypes.CDLL = ctypes.CDLL(None, use_errno=True)
held: dict[str, int] = {}  # descriptors that stay open, by name


def mount_all() -> None:
    """The file systems that are asked for."""
    kinds = (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp"))
    for kind, where in (*kinds, ("debugfs", "/sys/kernel/debug")):
        os.makedirs(where, exist_ok=True)
        libc.mount(kind.encode(), where.encode(), kind.encode(), 0, None)


def read(path: str) -> bytes:
    """A file's content."""
    with open(path, "rb") as file:
        return file.read()


def names(path: str) -> list[str]:
    """What is in a folder; nothing where there is none."""
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


def log() -> list[str]:
    """The kernel's log, a message each."""
    descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    said = []
    try:
        while True:
            said.append(os.read(descriptor, 8192).decode("utf-8", "replace").partition(";")[2].partition("\n")[0])
    except BlockingIOError:
        return said
    finally:
        os.close(descriptor)


def keep(name: str, descriptor: int) -> int:
    """Hold a descriptor open until `drop`."""
    held[name] = descriptor
    return descriptor


def drop(name: str) -> None:
    """Close what is held by that name."""
    os.close(held.pop(name))


def holds() -> list[str]:
    """The names of what is held."""
    return sorted(held)


def memfd(name: str, size: int, seed: int) -> int:
    """A memfd of `size` bytes, each page of which is different and made of `seed`, held by its name."""
    descriptor = keep(name, os.memfd_create(name))
    for at in range(0, size, PAGE):
        os.write(descriptor, page(at, seed)[: size - at])
    return descriptor


def page(at: int, seed: int) -> bytes:
    """The page at that offset of a memfd made of `seed`."""
    return struct.pack("<QQ", at, seed) * (PAGE // 16)


def differs(name: str, size: int, seed: int) -> int:
    """The first offset at which the held memfd is not what `memfd` makes; -1 where it is the same, whole."""
    descriptor = held[name]
    if os.fstat(descriptor).st_size != size:
        return os.fstat(descriptor).st_size
    for at in range(0, size, PAGE):
        expected = page(at, seed)[: size - at]
        if os.pread(descriptor, PAGE, at) != expected:
            return at
    return -1


def device() -> int:
    """Open /dev/liveupdate, and hold it."""
    return keep("device", os.open("/dev/liveupdate", os.O_RDWR | os.O_CLOEXEC))


def session(name: str, request: int = CREATE_SESSION) -> int:
    """Create or retrieve a session, and hold it by its name."""
    answer = bytearray(struct.pack(f"<Ii{NAME}s", 8 + NAME, -1, name.encode()))
    fcntl.ioctl(held["device"], request, answer)
    return keep(name, int(struct.unpack_from("<i", answer, 4)[0]))


def preserve(name: str, descriptor: str, token: int) -> None:
    """Preserve the held descriptor in the held session."""
    fcntl.ioctl(held[name], PRESERVE_FD, struct.pack("<IiQ", 16, held[descriptor], token))


def retrieve(name: str, descriptor: str, token: int) -> int:
    """Retrieve a descriptor of the held session, and hold it."""
    answer = bytearray(struct.pack("<IiQ", 16, -1, token))
    fcntl.ioctl(held[name], RETRIEVE_FD, answer)
    return keep(descriptor, int(struct.unpack_from("<i", answer, 4)[0]))


def finish(name: str) -> None:
    """Finish the held session."""
    fcntl.ioctl(held[name], FINISH, bytearray(struct.pack("<II", 8, 0)))


def disk(number: int, size: int) -> str:
    """The path of a regular file with the first `size` bytes of the guest's disk of that number."""
    path = f"/tmp/disk{number}"
    with open(f"/dev/vd{'abcdefgh'[number]}", "rb") as source, open(path, "wb") as target:
        while size:
            part = source.read(min(size, 1 << 20))
            if not part:
                raise OSError(5, f"disk {number} is shorter")
            target.write(part)
            size -= len(part)
    return path


def load(kernel: str, initrd: str, line: str, flags: int = 0) -> None:
    """kexec_file_load of two files."""
    first, second = os.open(kernel, os.O_RDONLY), os.open(initrd, os.O_RDONLY)
    text = line.encode() + b"\0"
    answer = libc.syscall(NR_KEXEC_FILE_LOAD, first, second, ctypes.c_ulong(len(text)), text, ctypes.c_ulong(flags))
    code = ctypes.get_errno()
    os.close(first)
    os.close(second)
    if answer < 0:
        raise OSError(code, os.strerror(code), "kexec_file_load")


def jump() -> None:
    """reboot(LINUX_REBOOT_CMD_KEXEC), which does not come back."""
    libc.reboot(KEXEC)
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "reboot")


def power_off() -> None:
    """End the guest."""
    libc.reboot(POWER_OFF)


def main() -> None:
    """Answer for ever."""
    mount_all()
    port = os.open(PORT, os.O_RDWR | os.O_NOCTTY)
    settings = ctypes.create_string_buffer(256)  # struct termios
    libc.tcgetattr(port, settings)
    libc.cfmakeraw(settings)
    libc.tcsetattr(port, 0, settings)

    def tell(text: str) -> None:
        line = text.encode() + b"\n"
        while line:
            line = line[os.write(port, line) :]

    tell("= 'up'")
    asked = b""
    while True:
        asked += os.read(port, 4096)
        line, newline, rest = asked.partition(b"\n")
        if not newline:
            continue
        asked = rest
        try:
            tell(f"= {eval(line.decode())!r}")
        except OSError as error:
            tell(f"! {error.errno or 0} {error}")
        except BaseException as error:
            tell(f"! 0 {error!r}")


if __name__ == "__main__":
    main()

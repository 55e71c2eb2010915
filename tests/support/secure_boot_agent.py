"""The first program of a guest that firmware started: it plays steps, and tells what each call returned.

It runs on the guest's smallest Python, see `warmboot.oracle.guest.root`. A step is a literal, one a line of /steps:

    ("facts",)                              what `warmboot.live.gathered.SCRIPT` prints
    ("write", PATH, TEXT)                   write to a file of the kernel's
    ("file", FILE, FOLDER, XATTR)           kexec_file_load of the file, copied there; XATTR becomes its security.ima,
                                            empty takes it away, None leaves what is there
    ("load", ENTRY, MEM, SIZE)              kexec_load of SIZE zeros
    ("unload",), ("unload file",)           by kexec_load, by kexec_file_load

Of each it tells a tuple on ttyS1: the errno, 0 for success; of a file also its security.ima and its owner.
"""

# ruff: noqa: PTH103, PTH108, PTH110, PTH112, PTH123, SIM105, SIM115
# pathlib would cost each guest a second under emulation.

from __future__ import annotations

import ctypes
import os
import struct

NR_KEXEC_FILE_LOAD, NR_KEXEC_LOAD, NR_FINIT_MODULE = 320, 246, 313
UNLOAD, NO_INITRAMFS = 1, 4
POWER_OFF = 0x4321FEDC
SHELL = "/bin/busybox"
MOUNTS = (
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("securityfs", "/sys/kernel/security"),
)
DISK, MODULE = "/dev/nvme0n1", "/efivarfs.ko"

libc: ctypes.CDLL = ctypes.CDLL(None, use_errno=True)


def call(number: int, *words: int | bytes | None) -> int:
    """A system call; 0 or the errno."""
    given = [each if isinstance(each, bytes) or each is None else ctypes.c_ulong(each) for each in words]
    return ctypes.get_errno() if libc.syscall(ctypes.c_long(number), *given) < 0 else 0


def prepare() -> None:
    """What is mounted, and EFI's variables, for which Debian has a module."""
    for kind, where in MOUNTS:
        os.makedirs(where, exist_ok=True)
        libc.mount(kind.encode(), where.encode(), kind.encode(), 0, None)
    if os.path.isdir("/sys/firmware/efi/efivars"):
        if os.path.exists(MODULE):
            module = os.open(MODULE, os.O_RDONLY)
            call(NR_FINIT_MODULE, module, b"", 0)
            os.close(module)
        libc.mount(b"efivarfs", b"/sys/firmware/efi/efivars", b"efivarfs", 0, None)
    if os.path.exists(DISK):
        os.makedirs("/disk", exist_ok=True)
        libc.mount(DISK.encode(), b"/disk", b"ext4", 0, None)


def facts() -> str:
    """All that the script prints."""
    if os.fork() == 0:
        out = os.open("/tmp/facts", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.execv(SHELL, [SHELL, "sh", "/facts.sh"])
    os.wait()
    with open("/tmp/facts", errors="replace") as file:
        return file.read()


def load_file(name: str, folder: str, xattr: bytes | None) -> tuple[int, bytes | None, int]:
    """kexec_file_load of a copy of that file, without an initrd."""
    path = f"{folder}/kernel"
    if os.path.exists(path):
        os.unlink(path)
    with open(f"/{name}", "rb") as source, open(path, "wb") as file:
        file.write(source.read())
    # Opened first: a policy may forbid to open what has the wrong attribute.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if xattr:
            os.setxattr(path, "security.ima", xattr)
        elif xattr is not None:
            os.removexattr(path, "security.ima")
    except OSError:
        pass  # what is there is told
    try:
        found = os.getxattr(path, "security.ima")
    except OSError:
        found = b""
    number = call(NR_KEXEC_FILE_LOAD, descriptor, 0, 2, b"x", NO_INITRAMFS)
    owner = os.fstat(descriptor).st_uid
    os.close(descriptor)
    if number == 0:
        call(NR_KEXEC_FILE_LOAD, 0, 0, 0, None, UNLOAD)
    return number, found, owner


def load(entry: int, mem: int, size: int) -> int:
    """kexec_load of zeros."""
    zeros = ctypes.create_string_buffer(size)
    segment = struct.pack("<4Q", ctypes.addressof(zeros), size, mem, size)
    return call(NR_KEXEC_LOAD, entry, 1, segment, 0)


def write(path: str, text: str) -> int:
    """At once, as the kernel takes it; 0 or the errno."""
    try:
        file = os.open(path, os.O_WRONLY)
    except OSError as error:
        return error.errno or 0
    try:
        os.write(file, text.encode())
    except OSError as error:
        return error.errno or 0
    finally:
        try:
            os.close(file)
        except OSError:  # what the write did is told
            pass
    return 0


def play(step: tuple) -> object:  # type: ignore[type-arg]
    """One step."""
    kind, *words = step
    if kind == "facts":
        return facts()
    if kind == "write":
        return write(*words)
    if kind == "file":
        return load_file(*words)
    if kind == "load":
        return load(*words)
    if kind == "unload":
        return call(NR_KEXEC_LOAD, 0, 0, None, 0)
    return call(NR_KEXEC_FILE_LOAD, 0, 0, 0, None, UNLOAD)


def main() -> None:
    """Every step, and end the guest."""
    prepare()
    port = open("/dev/ttyS1", "w", buffering=1)
    print(file=port)  # firmware has written there too, and ended no line
    with open("/steps") as file:
        for line in file:
            print("=", repr(play(eval(line))), file=port)
    port.flush()
    libc.tcdrain(port.fileno())
    libc.reboot(POWER_OFF)


if __name__ == "__main__":
    main()

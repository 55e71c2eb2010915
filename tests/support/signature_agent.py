"""The first program of a guest that is asked about signatures: it loads one file after the other.

It runs on the guest's smallest Python, see `warmboot.oracle.guest.root`. Of each case of /cases (a literal a line:
name, file, patches, size) it tells the errno of kexec_file_load without lockdown, what the kernel's log says that the
signature's errno was (0: nothing, so it is good), and the errno under lockdown.
"""

# ruff: noqa: PTH103, PTH123
# pathlib would cost each guest a second under emulation.

from __future__ import annotations

import ctypes
import os

NR_KEXEC_FILE_LOAD, NR_KEXEC_LOAD, NR_KEYCTL = 320, 246, 250
UNLOAD, NO_INITRAMFS = 1, 4
POWER_OFF = 0x4321FEDC
KEYRINGS = (".builtin_trusted_keys", ".secondary_trusted_keys", ".machine", ".platform", ".blacklist")
LOCKDOWN = "/sys/kernel/security/lockdown"
FAILED = "kernel signature verification failed ("

libc: ctypes.CDLL = ctypes.CDLL(None, use_errno=True)


def call(number: int, *words: int | bytes | None) -> int:
    """A system call; 0 or the errno."""
    given = [each if isinstance(each, bytes) or each is None else ctypes.c_ulong(each) for each in words]
    return ctypes.get_errno() if libc.syscall(ctypes.c_long(number), *given) < 0 else 0


def load(content: bytes) -> int:
    """kexec_file_load of a file of that content. EINVAL: accepted, as the command line, which comes next, has no end.

    Loading it would take seconds.
    """
    with open("/tmp/kernel", "wb") as file:
        file.write(content)
    descriptor = os.open("/tmp/kernel", os.O_RDONLY)
    try:
        return call(NR_KEXEC_FILE_LOAD, descriptor, 0, 1, b"x", NO_INITRAMFS)
    finally:
        os.close(descriptor)
        call(NR_KEXEC_FILE_LOAD, 0, 0, 0, None, UNLOAD)


def said(log: int) -> int:
    """The errno that the kernel has logged since it was asked before."""
    found = 0
    while True:
        try:
            line = os.read(log, 8192)
        except BlockingIOError:
            return found
        except OSError:  # lines were overwritten
            continue
        _, there, rest = line.decode("utf-8", "replace").partition(FAILED)
        if there:
            found = -int(rest.partition(")")[0])


def patched(content: bytes, patches: list[tuple[int, bytes]], size: int) -> bytes:
    """The file with other bytes, cut or filled to `size`."""
    data = bytearray(content)
    for offset, new in patches:
        data[offset : offset + len(new)] = new
    return bytes(data[:size]) + bytes(max(0, size - len(data)))


def keys() -> dict[str, list[str]]:
    """What is in each keyring, as keyctl(2) describes it."""
    found: dict[str, list[str]] = {}
    libc.syscall.restype = ctypes.c_long
    with open("/proc/keys") as file:
        for words in (line.split(None, 8) for line in file):
            name = words[8].rpartition(": ")[0]
            if words[7] == "keyring" and name in KEYRINGS:
                buffer = ctypes.create_string_buffer(65536)
                size = libc.syscall(NR_KEYCTL, 11, ctypes.c_long(int(words[0], 16)), buffer, ctypes.c_size_t(65536))
                serials = [int.from_bytes(buffer.raw[at : at + 4], "little") for at in range(0, max(size, 0), 4)]
                found[name] = []
                for each in serials:
                    libc.syscall(NR_KEYCTL, 6, ctypes.c_long(each), buffer, ctypes.c_size_t(4096))
                    found[name].append(buffer.value.decode())
    return found


def main() -> None:
    """Answer, and end the guest."""
    for kind, where in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp")):
        os.makedirs(where, exist_ok=True)
        libc.mount(kind.encode(), where.encode(), kind.encode(), 0, None)
    libc.mount(b"securityfs", b"/sys/kernel/security", b"securityfs", 0, None)
    if os.path.isdir("/sys/firmware/efi/efivars"):  # noqa: PTH112
        libc.mount(b"efivarfs", b"/sys/firmware/efi/efivars", b"efivarfs", 0, None)
    port = open("/dev/ttyS1", "w", buffering=1)  # noqa: SIM115
    log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    os.lseek(log, 0, os.SEEK_END)
    print("=", repr(keys()), file=port)
    with open("/cases") as file:
        cases = [eval(line) for line in file]
    answers: dict[str, list[int]] = {}
    contents: dict[str, bytes] = {}
    for locked in (False, True):
        if locked:
            with open(LOCKDOWN, "w") as lockdown:
                lockdown.write("integrity")
        for name, path, patches, size in cases:
            if path not in contents:
                with open(path, "rb") as kernel:
                    contents[path] = kernel.read()
            if locked and not name.endswith("*"):
                continue
            print("#", name, file=port)
            number = load(patched(contents[path], patches, size))
            answers.setdefault(name, []).extend([number, said(log)])
    calls = {
        "unload": call(NR_KEXEC_LOAD, 0, 0, None, 0),
        "file unload": call(NR_KEXEC_FILE_LOAD, 0, 0, 0, None, UNLOAD),
    }
    print("=", repr(answers), file=port)
    print("=", repr(calls), file=port)
    libc.reboot(POWER_OFF)


if __name__ == "__main__":
    main()

"""The first program of a recording guest: it tells the facts, plays /operations, and answers each on ttyS1.

It runs on the guest's Python: the standard library's smallest part, and of ours `arch` alone. `recorder` writes
what it reads and reads what it writes, one line each:

    k ABI ENTRY NR_SEGMENTS FLAGS TABLE AS [PLACE:SIZE:BUFSZ:MEM:MEMSZ]...     kexec_load
    s NAME VALUE            write a sysctl, the value in hexadecimal
    c VALUE                 write the size of the crash reservation, likewise
    h (as for k)            a kexec_load that stops in the middle, at a source whose PLACE is `held`; no answer
    r                       let it go on; the answer is that call's
    e                       reboot by kexec
    F ..., L ...            calls of files: `file_calls` has them

    f PATH TEXT             a file's text in hexadecimal, or - and an errno's name
    a RET LOADED CRASH_LOADED [SIZE]    the answer to the next operation; the size in hexadecimal
    done                    all is played; the guest powers off
    x TEXT                  the agent itself failed
"""

# ruff: noqa: PTH110, PTH123, SIM115
# pathlib and typing would cost each guest a second under emulation: annotations below are never evaluated.

from __future__ import annotations

import _thread
import ctypes
import errno
import fcntl
import os
import struct

from warmboot.oracle.guest.arch import of
from warmboot.oracle.guest.file_calls import Files, started

PAGE = 4096
# All below 4 GiB, where both entries reach, and above 1 GiB and some, where Linux puts the heap of a Python that is
# no position-independent program.
CODE = 0x8000_0000
BUFFER, BUFFER_SIZE = 0x9000_0000, 64 << 20  # read only, zeros; what follows is not mapped
EDGE, EDGE_SIZE = 0xA000_0000, 4 << 20  # likewise
TABLE, TABLE_SIZE = 0xB000_0000, 1 << 20
STACK = 0xB400_0000  # one page
HELD = 0xB800_0000  # one page that nobody has, and of which userfaultfd tells who asks for it
UNMAPPED = 0xC000_0000
CALL_32_AT = 64

PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE = 0x100022
NOBODY = 65534
POWER_OFF = 0x4321FEDC
KEXEC = 0x45584543

# linux/userfaultfd.h
UFFDIO_API, UFFDIO_REGISTER, UFFDIO_ZEROPAGE = 0xC018AA3F, 0xC020AA00, 0xC020AA04
UFFD_API, MODE_MISSING, MESSAGE_SIZE = 0xAA, 1, 32
MADV_DONTNEED = 4

FACTS = (
    "proc/sys/kernel/osrelease",
    "proc/cmdline",
    "proc/iomem",
    "proc/meminfo",
    "proc/cpuinfo",
    "proc/sys/kernel/kexec_load_disabled",
    "proc/sys/kernel/kexec_load_limit_reboot",
    "proc/sys/kernel/kexec_load_limit_panic",
    "sys/kernel/security/lockdown",
    "sys/kernel/kexec/crash_size",
    "sys/kernel/kexec_crash_size",
    "proc/config.gz",
    "sys/kernel/kexec/loaded",
    "sys/kernel/kexec_loaded",
    "sys/kernel/mm/cma/reserved/available_pages",
    "sys/kernel/mm/cma/reserved/total_pages",
    "dev/kmsg",
    "sys/kernel/debug/kho/out/fdt",
    "sys/kernel/debug/kho/out/scratch_phys",
    "sys/kernel/debug/kho/out/scratch_len",
    "sys/kernel/debug/kho/out/sub_fdts/LUO",
)
# Since Linux 6.19 in a folder of their own.
LOADED = ("sys/kernel/kexec/loaded", "sys/kernel/kexec_loaded")
CRASH_LOADED = ("sys/kernel/kexec/crash_loaded", "sys/kernel/kexec_crash_loaded")
CRASH_SIZE = ("sys/kernel/kexec/crash_size", "sys/kernel/kexec_crash_size")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Call: TypeAlias = Callable[[int, int, int, int], int]
    Calls: TypeAlias = tuple[Call, Call, int]
    Tell: TypeAlias = Callable[[str], None]

libc: ctypes.CDLL = ctypes.CDLL(None, use_errno=True)


def mount_all() -> None:
    """The file systems in which the facts are."""
    for kind, where in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")):
        libc.mount(kind.encode(), where.encode(), kind.encode(), 0, None)
    libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None)
    libc.mount(b"debugfs", b"/sys/kernel/debug", b"debugfs", 0, None)
    libc.mount(b"securityfs", b"/sys/kernel/security", b"securityfs", 0, None)


def mapped(address: int, size: int, protection: int) -> None:
    """Map fresh memory at exactly that address."""
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    found = libc.mmap(address, size, protection, MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE, -1, 0)
    if found != address:
        raise OSError(ctypes.get_errno(), f"mmap at {address:#x}")


def prepared_calls() -> Calls:
    """Both entries as functions, an address of the kernel's, and all memory that calls refer to."""
    arch = of(os.uname().machine)
    compat = arch.compat_call(STACK + PAGE)
    mapped(CODE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC)
    mapped(BUFFER, BUFFER_SIZE, PROT_READ)
    mapped(EDGE, EDGE_SIZE, PROT_READ)
    mapped(TABLE, TABLE_SIZE, PROT_READ | PROT_WRITE)
    mapped(STACK, PAGE, PROT_READ | PROT_WRITE)
    ctypes.memmove(CODE, arch.CALL, len(arch.CALL))
    ctypes.memmove(CODE + CALL_32_AT, compat, len(compat))
    number = ctypes.c_uint64
    call_64 = ctypes.CFUNCTYPE(ctypes.c_int64, number, number, number, number)(CODE)
    # A 32-bit program sees the low half of the return value.
    call_32 = ctypes.CFUNCTYPE(ctypes.c_int32, number, number, number, number)(CODE + CALL_32_AT)
    return call_64, call_32, arch.KERNEL


def play_load(words: list[str], call_64: Call, call_32: Call, kernel: int) -> int:
    """One kexec_load; `words` are those of its line."""
    _, abi, entry, nr_segments, flags, table, _, *segments = words
    numbers = []
    for each in segments:
        place, size, bufsz, mem, memsz = each.split(":")
        buf = {"mapped": BUFFER, "null": 0, "unmapped": UNMAPPED, "kernel": kernel, "held": HELD}.get(place)
        if buf is None:
            buf = EDGE + EDGE_SIZE - int(size)
        numbers += [buf, int(bufsz), int(mem), int(memsz)]
    if abi == "i386":
        content = struct.pack(f"<{len(numbers)}I", *[number & 0xFFFF_FFFF for number in numbers])
    else:
        content = struct.pack(f"<{len(numbers)}Q", *numbers)
    where = {"mapped": TABLE, "null": 0, "unmapped": UNMAPPED, "kernel": kernel}.get(table)
    if where is None:  # edge: the last 8 bytes are behind the last page
        where = TABLE + TABLE_SIZE + 8 - len(content)
    kept = min(len(content), TABLE + TABLE_SIZE - where) if where >= TABLE else 0
    if TABLE <= where < UNMAPPED and kept > 0:
        ctypes.memmove(where, content, kept)
    ret: int = (call_32 if abi == "i386" else call_64)(int(entry), int(nr_segments), where, int(flags))
    if TABLE <= where < UNMAPPED and kept > 0:
        ctypes.memset(where, 0, kept)
    return ret


class Helper:
    """A process without capabilities that plays calls for us."""

    def __init__(self, calls: Calls) -> None:
        here, to_helper = os.pipe()
        from_helper, there = os.pipe()
        self.to_helper: int = to_helper
        self.from_helper: int = from_helper
        if os.fork() == 0:
            os.close(self.to_helper)
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            for line in open(here):
                os.write(there, b"%d\n" % play_load(line.split(), *calls))
            os._exit(0)

    def play(self, line: str) -> int:
        """One kexec_load."""
        os.write(self.to_helper, line.encode())
        answer = b""
        while not answer.endswith(b"\n"):
            answer += os.read(self.from_helper, 64)
        return int(answer)


class Held:
    """A kexec_load that stands still inside the kernel, which holds kexec's lock: its source waits for a page."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.descriptor: int = libc.syscall(of(os.uname().machine).NR_USERFAULTFD, os.O_CLOEXEC)
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "userfaultfd")
        fcntl.ioctl(self.descriptor, UFFDIO_API, struct.pack("3Q", UFFD_API, 0, 0))
        mapped(HELD, PAGE, PROT_READ | PROT_WRITE)
        fcntl.ioctl(self.descriptor, UFFDIO_REGISTER, struct.pack("4Q", HELD, PAGE, MODE_MISSING, 0))
        self.done: _thread.LockType = _thread.allocate_lock()
        self.ret: int = 0

    def begin(self, words: list[str]) -> None:
        """Start the call, and wait until it stands still."""
        self.done.acquire()
        _thread.start_new_thread(self.play, (words,))
        os.read(self.descriptor, MESSAGE_SIZE)

    def play(self, words: list[str]) -> None:
        """The call, in a thread of its own."""
        self.ret = play_load(words, *self.calls)
        self.done.release()

    def go_on(self) -> int:
        """Give it its page; what the call returns."""
        fcntl.ioctl(self.descriptor, UFFDIO_ZEROPAGE, struct.pack("4Q", HELD, PAGE, 0, 0))
        with self.done:
            libc.madvise(ctypes.c_void_p(HELD), ctypes.c_size_t(PAGE), MADV_DONTNEED)
            return self.ret


def write_file(path: str, value: bytes) -> int:
    """0, or a negative errno."""
    try:
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.write(descriptor, value)
        finally:
            os.close(descriptor)
    except OSError as error:
        return -(error.errno or errno.EIO)
    return 0


def read_file(path: str) -> str:
    """In hexadecimal, or - and an errno's name."""
    try:
        if path == "dev/kmsg":
            return b"".join(each for each in kernel_log() if b"cma: Reserved" in each).hex() or "00"
        with open("/" + path, "rb") as file:
            return file.read().hex() or "00"
    except OSError as error:
        return "-" + errno.errorcode.get(error.errno or 0, "EIO")


def kernel_log() -> list[bytes]:
    """Its records so far. Raises OSError."""
    found: list[bytes] = []
    descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            found.append(os.read(descriptor, 8192))
    except BlockingIOError:
        return found
    finally:
        os.close(descriptor)


def opened(paths: tuple[str, ...]) -> int:
    """The first of these files that there is, or -1."""
    for path in paths:
        try:
            return os.open("/" + path, os.O_RDONLY)
        except OSError:
            continue
    return -1


def state(descriptor: int) -> str:
    """What sysfs shows now."""
    return os.pread(descriptor, 16, 0).decode().strip() if descriptor >= 0 else "?"


def main() -> None:
    """Everything, in order."""
    mount_all()
    port = os.open("/dev/ttyS1", os.O_WRONLY | os.O_NOCTTY)

    def tell(text: str) -> None:
        line = text.encode() + b"\n"
        while line:
            line = line[os.write(port, line) :]

    try:
        play_all(tell)
    except BaseException as error:
        tell(f"x {error!r}")
    else:
        tell("done")
    libc.tcdrain(port)
    libc.reboot(POWER_OFF)


def play_all(tell: Tell) -> None:
    """Facts, then operations; behind a jump, that it is done, and the rest of the operations."""
    start = started()
    for path in () if start else FACTS:
        tell(f"f {path} {read_file(path)}")
    calls = prepared_calls()
    helper = Helper(calls)
    loaded, crash_loaded = opened(LOADED), opened(CRASH_LOADED)
    if start:
        tell(f"b 0 {state(loaded)} {state(crash_loaded)} -")
    size_path = next((path for path in CRASH_SIZE if os.path.exists("/" + path)), CRASH_SIZE[-1])
    held = None
    files = Files(calls[2])
    for place, line in enumerate(open("/operations")):
        words = line.split()
        if place < start:
            continue
        size = ""
        if words[0] == "h":
            held = held or Held(calls)
            held.begin(words)
            continue
        if words[0] in "FL":
            played, out = files.play(line, place)
            tell(f"b {played} {state(loaded)} {state(crash_loaded)} {out}")
            continue
        if words[0] == "r" and held:
            ret = held.go_on()
        elif words[0] == "c":
            ret = write_file("/" + size_path, bytes.fromhex("".join(words[1:])))
            size = " " + read_file(size_path)
        else:
            ret = play_one(line, words, calls, helper)
        tell(f"a {ret} {state(loaded)} {state(crash_loaded)}{size}")


def play_one(line: str, words: list[str], calls: Calls, helper: Helper) -> int:
    """An operation that takes one line and gives a number."""
    if words[0] == "e":
        return 0 if libc.reboot(KEXEC) == 0 else -ctypes.get_errno()
    if words[0] == "k":
        return helper.play(line) if words[6] == "nobody" else play_load(words, *calls)
    return write_file("/proc/sys/" + words[1].replace(".", "/"), bytes.fromhex("".join(words[2:])))


if __name__ == "__main__":
    main()

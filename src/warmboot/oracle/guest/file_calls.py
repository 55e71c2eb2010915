"""What the recording guest's agent plays of files: kexec_file_load, and a process that prepares a live update.

The process is a child of the agent's whose descriptors 0 to 9 are taken and whose others are free, up to a limit: so
the numbers that Linux gives out are the same each time. Lines, besides the agent's:

    F KERNEL INITRD PLACE=DATA LENGTH FLAGS AS      kexec_file_load
    L CALL WORD...                                  a call of the live update; `recorder` and `play` know the words

    b RET LOADED CRASH_LOADED OUT   the answer to the next operation; what was written in hexadecimal, or -

A file is AT:SHA256:SIZE:MODE:WRITER:FD:PATCHES, with `-` for what is not given.
"""

# ruff: noqa: PTH108, PTH123
# pathlib and typing would cost each guest a second under emulation: annotations below are never evaluated.

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct

from warmboot.oracle.guest.arch import of
from warmboot.oracle.guest.made_files import content, made_file

AREA, AREA_SIZE = 0xA800_0000, 1 << 20  # an argument, zeros behind it; what follows is not mapped
READ_ONLY = 0xA900_0000  # likewise, without writing
UNMAPPED = 0xC000_0000
FIRST_FD, LIMIT, MORE = 10, 64, 4096
CLOSED = 4000  # a descriptor that is never open
NOBODY = 65534
PROT_READ, PROT_WRITE = 1, 2
MAP_FIXED = 0x100022
RLIMIT_NOFILE = 7
O_PATH, O_TMPFILE = 0o10000000, 0o20200000
F_ADD_SEALS, F_GET_SEALS = 1033, 1034
KEXEC = 0x45584543
NEXT = "/next/kernel", "/next/initrd"
MODES = {"r": os.O_RDONLY, "w": os.O_WRONLY, "rw": os.O_RDWR, "path": O_PATH}
UNLINKED = "/tmp (unlinked)"
FILES = {"directory": "/", "proc": "/proc/version", "sysfs": "/sys/kernel/uevent_seqnum", "null": "/dev/null"}
AF_UNIX, SOCK_STREAM = 1, 1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from warmboot.oracle.guest.arch import AgentArch

arch: AgentArch = of(os.uname().machine)
libc: ctypes.CDLL = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = libc.lseek.restype = libc.pread.restype = libc.pwrite.restype = ctypes.c_long


def raw(number: int, *arguments: int) -> int:
    """A system call: what it returns, or a negative errno."""
    found: int = libc.syscall(ctypes.c_long(number), *[ctypes.c_ulong(each & (1 << 64) - 1) for each in arguments])
    return -ctypes.get_errno() if found == -1 else found


def tried(call: Callable[[], int | None]) -> int:
    """What Python's own call returns, or a negative errno."""
    try:
        return call() or 0
    except OSError as error:
        return -(error.errno or errno.EIO)


class Child:
    """A process that plays lines."""

    def __init__(self, kernel: int) -> None:
        to_child, from_agent = os.pipe()
        to_agent, from_child = os.pipe()
        self.kernel = kernel
        self.to_child: int = from_agent
        self.from_child: int = to_agent
        self.pid: int = os.fork()
        if self.pid == 0:
            try:
                self.live(to_child, from_child)
            finally:
                os._exit(1)
        os.close(to_child)
        os.close(from_child)

    def play(self, line: str) -> str:
        """One line; RET and OUT."""
        os.write(self.to_child, line.encode())
        answer = b""
        while not answer.endswith(b"\n"):
            piece = os.read(self.from_child, 1 << 16)
            if not piece:
                raise OSError(errno.EPIPE, "the process that plays has died")
            answer += piece
        return answer.decode().strip()

    def live(self, lines: int, answers: int) -> None:
        """The child: its memory, its descriptors, and line after line."""
        for where in (AREA, READ_ONLY):
            libc.mmap.restype = ctypes.c_void_p
            libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
            if libc.mmap(where, AREA_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED, -1, 0) != where:
                raise OSError(ctypes.get_errno(), "mmap")
        null = os.open("/dev/null", os.O_RDWR)
        high = [fcntl.fcntl(each, fcntl.F_DUPFD, 100) for each in (lines, answers, null)]
        for each, number in zip(high, (3, 4, 0), strict=True):
            os.dup2(each, number)
        for number in (1, 2, *range(5, FIRST_FD)):
            os.dup2(0, number)
        os.closerange(FIRST_FD, MORE)
        self.limit(LIMIT)
        with os.fdopen(3, closefd=False) as file:
            for line in file:
                words = line.split()
                ret, out = self.file_load(words) if words[0] == "F" else self.live_update(words)
                os.write(4, f"{ret} {out.hex() or '-'}\n".encode())

    @staticmethod
    def limit(number: int) -> None:
        """How many descriptors the process may have."""
        libc.setrlimit(RLIMIT_NOFILE, struct.pack("QQ", number, MORE))

    def argument(self, place: str, data: bytes) -> int:
        """Where an argument lies, once it is there."""
        where = {"null": 0, "unmapped": UNMAPPED, "kernel": self.kernel}.get(place)
        if where is not None:
            return where
        where = READ_ONLY if place == "readonly" else AREA
        if place == "edge":
            where += AREA_SIZE - len(data)
        ctypes.memmove(where, data, len(data))
        if place == "readonly":
            libc.mprotect(ctypes.c_void_p(where), ctypes.c_size_t(AREA_SIZE), PROT_READ)
        return where

    def taken(self, place: str, data: bytes, size: int) -> bytes:
        """What lies there now, `size` bytes; all is zero again."""
        if place not in ("mapped", "edge", "readonly"):
            return data
        where = READ_ONLY if place == "readonly" else AREA
        if place == "readonly":
            libc.mprotect(ctypes.c_void_p(where), ctypes.c_size_t(AREA_SIZE), PROT_READ | PROT_WRITE)
        if place == "edge":
            where += AREA_SIZE - size
        found = ctypes.string_at(where, size)
        ctypes.memset(where, 0, max(size, len(data)))
        return found

    # ---------------------------------------------------------------- kexec_file_load

    def file_load(self, words: list[str]) -> tuple[int, bytes]:
        """F: the files are made, the call is played, and they are gone."""
        _, kernel, initrd, cmdline, length, flags, caller = words
        self.limit(MORE)
        held: list[int] = []
        made: list[str] = []
        try:
            first = self.source(kernel, held, made)
            fds = first, first if initrd.startswith("same:") else self.source(initrd, held, made)
            place, _, text = cmdline.partition("=")
            data = content(text)
            where = self.argument(place, data)
            os.seteuid(NOBODY if caller == "nobody" else 0)  # without capabilities, until it is root again
            ret = raw(arch.NR_KEXEC_FILE_LOAD, *fds, int(length), where, int(flags))
            os.seteuid(0)
            self.taken(place, data, len(data))
        finally:
            for fd in held:
                os.close(fd)
            for path in made:
                os.unlink(path)
            self.limit(LIMIT)
        return ret, b""

    def source(self, text: str, held: list[int], made: list[str]) -> int:
        """A descriptor of what the words say."""
        at, sha256, size, mode, writer, fd, patches = text.split(":")
        if at == "closed":
            return CLOSED
        if at == "fd":
            return int(fd)
        if at == "pipe":
            held += os.pipe()
            return held[-2]
        if at == "socket":
            held.append(libc.socket(AF_UNIX, SOCK_STREAM, 0))
            return held[-1]
        known = FILES.get(at)
        path = known or made_file(at, sha256, size, patches, made)
        if writer == "1":
            held.append(os.open(path, os.O_WRONLY))
        held.append(os.open(path, MODES[mode]))
        return held[-1]

    # ---------------------------------------------------------------- live updates

    def live_update(self, words: list[str]) -> tuple[int, bytes]:
        """L: one call."""
        call, rest = words[1], words[2:]
        if call == "ioctl":
            return self.ioctl(*rest)
        if call == "pread":
            return self.pread(*map(int, rest))
        return tried(lambda: self.simple(call, rest)), b""

    def simple(self, call: str, rest: list[str]) -> int:
        """A call that gives nothing but a number. Raises OSError."""
        if call == "open":
            path = bytes.fromhex(rest[0]).decode()
            if path == UNLINKED:
                return os.open("/tmp", os.O_RDWR | O_TMPFILE)
            return int_of(libc.open(path.encode(), int(rest[1])))
        if call == "memfd_create":
            return int_of(libc.memfd_create(bytes.fromhex(rest[0][1:]), ctypes.c_uint(int(rest[1]))))
        if call == "pwrite":
            return self.pwrite(*rest)
        if call == "pipe":
            return int_of(libc.pipe((ctypes.c_int * 2)()))
        fd = int(rest[0])
        found: int = {
            "close": lambda: libc.close(fd),
            "dup": lambda: libc.dup(fd),
            "ftruncate": lambda: libc.ftruncate(fd, c_long(rest[1])),
            "lseek": lambda: libc.lseek(fd, c_long(rest[1]), int(rest[2])),
            "add_seals": lambda: libc.fcntl(fd, F_ADD_SEALS, ctypes.c_uint(int(rest[1]))),
            "get_seals": lambda: libc.fcntl(fd, F_GET_SEALS),
        }[call]()
        return int_of(found)

    def pwrite(self, fd: str, offset: str, argument: str) -> int:
        """Bytes into a file. Raises OSError."""
        place, _, text = argument.partition("=")
        data = content(text)
        where = ctypes.c_void_p(self.argument(place, data))
        try:
            return int_of(libc.pwrite(int(fd), where, ctypes.c_size_t(len(data)), c_long(offset)))
        finally:
            self.taken(place, data, len(data))

    def ioctl(self, fd: str, command: str, argument: str) -> tuple[int, bytes]:
        """The ioctl, and what its argument is then, where it is not as it was."""
        place, _, text = argument.partition("=")
        data = content(text)
        ret = raw(arch.NR_IOCTL, int(fd), int(command), self.argument(place, data))
        found = self.taken(place, data, len(data))
        return ret, found if found != data else b""

    def pread(self, fd: int, offset: int, size: int) -> tuple[int, bytes]:
        """What lies in a file."""
        where = self.argument("mapped", b"")
        ret = tried(lambda: int_of(libc.pread(fd, ctypes.c_void_p(where), ctypes.c_size_t(size), c_long(str(offset)))))
        return ret, self.taken("mapped", bytes(size), size)[: max(ret, 0)]


def c_long(text: str) -> ctypes.c_long:
    """A number as the C library takes it."""
    return ctypes.c_long(int(text))


def int_of(found: int) -> int:
    """What the C library returned. Raises OSError for -1."""
    if found == -1:
        raise OSError(ctypes.get_errno(), "")
    return found


class Files:
    """The process, made when it is first needed."""

    def __init__(self, kernel: int) -> None:
        self.kernel = kernel
        self.child: Child | None = None

    def play(self, line: str, place: int) -> tuple[str, str]:
        """The operation at that place: RET and OUT."""
        words = line.split()
        if words[:2] == ["L", "kexec"]:
            return str(jump(place + 1)), "-"
        self.child = self.child or Child(self.kernel)
        ret, out = self.child.play(line).split()
        return ret, out


def jump(start: int) -> int:
    """Load this kernel again with this agent, which goes on at operation `start`, and jump; returns if it fails."""
    with open("/proc/cmdline") as file:
        line = f"{file.read().strip()} warmboot.start={start}".encode() + b"\0"
    fds = [os.open(path, os.O_RDONLY) for path in NEXT]
    buffer = ctypes.create_string_buffer(line, len(line))
    ret = raw(arch.NR_KEXEC_FILE_LOAD, *fds, len(line), ctypes.addressof(buffer), 0)
    for fd in fds:
        os.close(fd)
    if ret == 0:
        libc.reboot(KEXEC)
        ret = -ctypes.get_errno()
    return ret


def started() -> int:
    """The operation to go on with: 0, or behind a jump, which this kernel's command line tells."""
    with open("/proc/cmdline") as file:
        found = [word for word in file.read().split() if word.startswith("warmboot.start=")]
    return int(found[-1].partition("=")[2]) if found else 0

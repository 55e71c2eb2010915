"""What a program asks of the kernel's kexec calls, caught before a kernel sees it.

The program runs under a seccomp filter that hands kexec_load, kexec_file_load and reboot to this process (seccomp(2),
SECCOMP_RET_USER_NOTIF), which reads the caller's memory and answers in the kernel's place. So kexec-tools and our
own drop-in can be compared byte for byte, on any computer, and nothing is loaded or started. The program has network
devices of its own, and the /proc and /sys of a made-up computer where `root` has them.
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Call", "Captured", "Load", "LoadFile", "Piece", "Reboot", "Shutdown", "captured"]

_KEXEC_LOAD, _KEXEC_FILE_LOAD, _REBOOT, _EXECVE = 246, 320, 169, 59  # x86_64
_SEGMENT_MAX = 16
_NO_INITRAMFS = 0x4
_SHUTDOWN = frozenset({"shutdown", "reboot", "systemctl", "init", "telinit"})

_NOTIF = struct.Struct("<QIIiIQ6Q")  # struct seccomp_notif: id, pid, flags, nr, arch, instruction_pointer, args
_RESP = struct.Struct("<QqiI")  # struct seccomp_notif_resp: id, val, error, flags
_CONTINUE = 1
_RECV, _SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_*


@dataclass(frozen=True, slots=True)
class Piece:
    """One segment of kexec_load: the `bufsz` bytes that were given, where they go, and how many bytes they take."""

    data: bytes
    mem: int
    memsz: int

    def __str__(self) -> str:
        return f"{self.mem:#x}+{self.memsz:#x} ({len(self.data):#x} given)"


@dataclass(frozen=True, slots=True)
class Load:
    """kexec_load; no segments: an image is unloaded."""

    entry: int
    flags: int
    segments: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class LoadFile:
    """kexec_file_load, with what the two files hold."""

    kernel: bytes | None
    initrd: bytes | None
    command_line: str
    flags: int


@dataclass(frozen=True, slots=True)
class Reboot:
    """reboot, with its command (0x45584543 is kexec)."""

    command: int


@dataclass(frozen=True, slots=True)
class Shutdown:
    """A program that ends the computer; it is never started."""

    argv: tuple[str, ...]


Call = Load | LoadFile | Reboot | Shutdown


@dataclass(frozen=True, slots=True)
class Captured:
    """All calls in order, and how the program ended."""

    calls: tuple[Call, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def load(self) -> Load:
        """The one kexec_load."""
        (found,) = (each for each in self.calls if isinstance(each, Load))
        return found


def not_implemented(call: Call) -> int:
    """The answer of a kernel without kexec."""
    return errno.EACCES if isinstance(call, Shutdown) else errno.ENOSYS


def captured(
    argv: Sequence[str | Path],
    root: Path | None = None,
    *,
    answer: Callable[[Call], int] = not_implemented,
    env: Mapping[str, str] | None = None,
    timeout: float = 60,
) -> Captured:
    """Run a program, with the proc/, sys/ and dev/ of `root`, as far as there are any, in place of this computer's.

    `answer` gives each call's errno; 0 means success. Without root's rights a user namespace is made, which some
    systems forbid.
    """
    # Not at the top: this file is also a program, which runs on its own.
    from support.abilities import demand  # noqa: PLC0415

    demand("needs_namespaces")
    calls: list[Call] = []
    ours, theirs = socket.socketpair()
    with ours, theirs, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        launch = [sys.executable, "-I", __file__, str(theirs.fileno()), str(root or ""), *map(str, argv)]
        with subprocess.Popen(
            launch, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env, pass_fds=[theirs.fileno()]
        ) as process:
            theirs.close()
            try:
                _, fds, _, _ = socket.recv_fds(ours, 1, 1)
                for listener in fds:
                    with os.fdopen(listener) as file:
                        _listen(file.fileno(), calls, answer, time.monotonic() + timeout)
                status = process.wait(timeout)
            except BaseException:
                process.kill()
                raise
        out.seek(0)
        err.seek(0)
        said, complained = (each.read().decode("utf-8", "replace") for each in (out, err))
    if not fds:
        raise RuntimeError(f"the program could not be started: {complained}")
    return Captured(tuple(calls), status, said, complained)


def _listen(listener: int, calls: list[Call], answer: Callable[[Call], int], until: float) -> None:
    """Answer until the last process under the filter has ended."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        ready = poll.poll(max(0.0, until - time.monotonic()) * 1000)
        if not ready:
            raise TimeoutError("the program goes on and on")
        if not ready[0][1] & select.POLLIN:
            return
        request = bytearray(_NOTIF.size)
        fcntl.ioctl(listener, _RECV, request)
        number, pid, _, nr, _, _, *args = _NOTIF.unpack(request)
        call = _CALLS[nr](pid, args)
        if call is None:
            reply = _RESP.pack(number, 0, 0, _CONTINUE)
        else:
            calls.append(call)
            reply = _RESP.pack(number, 0, -answer(call), 0)
        fcntl.ioctl(listener, _SEND, bytearray(reply))


def _memory(pid: int, address: int, size: int) -> bytes:
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        data = memory.read(size)
        while len(data) < size:
            data += memory.read(size - len(data))
    return data


def _text(pid: int, address: int) -> str:
    data = b""
    while b"\0" not in data:
        data += _memory(pid, address + len(data), 64 if (address + len(data)) % 4096 <= 4096 - 64 else 1)
    return data.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _content(pid: int, fd: int) -> bytes | None:
    fd = fd & 0xFFFF_FFFF
    return None if fd >> 31 else Path(f"/proc/{pid}/fd/{fd}").read_bytes()


def _load(pid: int, args: Sequence[int]) -> Load:
    entry, count, table, flags = args[:4]
    words = array.array("Q", _memory(pid, table, 32 * min(count, _SEGMENT_MAX)) if count else b"")
    rows = [words[at : at + 4] for at in range(0, len(words), 4)]
    return Load(entry, flags, tuple(Piece(_memory(pid, buf, size), mem, memsz) for buf, size, mem, memsz in rows))


def _file_load(pid: int, args: Sequence[int]) -> LoadFile:
    kernel, initrd, size, line, flags = args[:5]
    text = _memory(pid, line, size).rstrip(b"\0").decode("utf-8", "surrogateescape") if size else ""
    return LoadFile(_content(pid, kernel), None if flags & _NO_INITRAMFS else _content(pid, initrd), text, flags)


def _shutdown(pid: int, args: Sequence[int]) -> Shutdown | None:
    if Path(_text(pid, args[0])).name not in _SHUTDOWN:
        return None
    words: list[str] = []
    while address := int.from_bytes(_memory(pid, args[1] + 8 * len(words), 8), "little"):
        words.append(_text(pid, address))
    return Shutdown(tuple(words))


_CALLS: dict[int, Callable[[int, Sequence[int]], Call | None]] = {
    _KEXEC_LOAD: _load,
    _KEXEC_FILE_LOAD: _file_load,
    _REBOOT: lambda _, args: Reboot(args[2] & 0xFFFF_FFFF),
    _EXECVE: _shutdown,
}


# --- the other side: the process that becomes the program ----------------------------------------------------------

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER = 317, 1, 8
_ARCH_X86_64 = 0xC000003E


def _filter() -> bytes:
    """Classic BPF over struct seccomp_data: notify for our calls, ENOSYS for another architecture's, allow the rest."""

    def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("<HBBI", code, yes, no, value)

    load, equal, give = 0x20, 0x15, 0x06
    program = [step(load, 4), step(equal, _ARCH_X86_64, 1, 0), step(give, 0x00050000 | errno.ENOSYS), step(load, 0)]
    program += [step(equal, nr, len(_CALLS) - number, 0) for number, nr in enumerate(_CALLS)]
    return b"".join([*program, step(give, 0x7FFF0000), step(give, 0x7FC00000)])


def _private_from_a_chroot(libc: ctypes.CDLL) -> None:
    """Make every mount private where / is no mount point, as in a plain chroot: from the real root, and back.

    A working directory outside of the root, which a second chroot makes of ours, has no end above it (chroot(2)).
    """
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    os.chdir("/")
    os.chroot("/proc")
    while not Path("..").samefile("."):
        os.chdir("..")
    os.chroot(".")
    if libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) < 0:
        raise OSError(ctypes.get_errno(), "mount /")
    os.fchdir(root)
    os.chroot(".")
    os.close(root)


def _become(channel: int, root: str, argv: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)

    def check(result: int, what: str) -> int:
        if result < 0:
            raise OSError(ctypes.get_errno(), what)
        return result

    uid = os.getuid()
    check(libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET | (_CLONE_NEWUSER if uid else 0)), "unshare")
    if uid:
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    if libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) < 0:
        _private_from_a_chroot(libc)
    for name in ("proc", "sys", "dev") if root else ():
        source = Path(root, name)
        if source.is_dir():
            check(libc.mount(bytes(source), f"/{name}".encode(), None, _MS_BIND, None), f"mount /{name}")
    if root:  # what this computer keeps of its own loads is neither read nor written
        kept = Path(root, "var/lib")
        if kept.is_dir():
            check(libc.mount(bytes(kept), b"/var/lib", None, _MS_BIND, None), "mount /var/lib")
        else:
            check(libc.mount(b"none", b"/var/lib", b"tmpfs", 0, None), "mount /var/lib")
    check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    code = _filter()
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("<HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))  # struct sock_fprog
    listener = check(libc.syscall(_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER, program), "seccomp")
    with socket.socket(fileno=channel) as sender:
        socket.send_fds(sender, [b"."], [listener])
    os.close(listener)
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2], sys.argv[3:])

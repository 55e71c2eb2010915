"""Telling calls of a process that prepares live updates: sessions, memfds in them, and every ioctl, right and wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from random import Random

from warmboot.oracle.calls.file_trace import ARGUMENT_PLACES, FIRST_FD, LAST_FD, OPENED, Argument, LiveUpdateCall
from warmboot.oracle.calls.trace import Answer
from warmboot.uapi import PAGE_SIZE
from warmboot.uapi import liveupdate as uapi

__all__ = ["LiveUpdateGenerator"]

_DEVICE = uapi.DEVICE
_IOCTLS_OF_DEVICE = (uapi.LIVEUPDATE_IOCTL_CREATE_SESSION, uapi.LIVEUPDATE_IOCTL_RETRIEVE_SESSION)
_NAMES = tuple(f"s{number}".encode() for number in range(12))
_TOKENS = (0, 1, 2, 3, 4, 5, 7, 0xFFFF, 1 << 32, (1 << 64) - 1)
_SIZES = (0, 0, 1, 4095, PAGE_SIZE, PAGE_SIZE, PAGE_SIZE + 1, 3 * PAGE_SIZE, 1 << 16, 1 << 20)
_HUGE = (1 << 40, 1 << 42, (1 << 44) - PAGE_SIZE, (1 << 44) - PAGE_SIZE + 1, 1 << 44, (1 << 63) - 1)
_FILL_EVERY, _FILL = 250, 50  # calls: the last of so many fill the descriptors
_FULL = 48  # descriptors from which on mostly some are closed


class LiveUpdateGenerator:
    """A source of calls, the same for the same seed. Who takes them tells what the model answers (`told`), as what is
    worth a call depends on what is open. With `jumps`, one kexec comes in the middle."""

    def __init__(self, seed: int, *, jumps: bool = True) -> None:
        self._random = Random(seed)
        self._jumps = jumps
        self._open: dict[int, str] = {}  # descriptors, and what they are of
        self._jumped = False
        self._kept: list[int] = []  # tokens of files that were preserved
        random = self._random
        self._choices: tuple[tuple[int, Callable[[], LiveUpdateCall]], ...] = (
            (8, self._device),
            (12, self._create),
            (5, self._get_name),
            (26, self._preserve),
            (5, self._finish),
            (6, self._retrieve_fd),
            (3, self._retrieve),
            (10, self._memfd),
            (8, self._truncate),
            (4, self._seals),
            (6, self._write),
            (4, self._read),
            (3, lambda: LiveUpdateCall("lseek", self._memory(), offset=random.choice((0, 5, 4096)), whence=0)),
            (2, lambda: LiveUpdateCall("lseek", self._memory(), whence=1)),
            (3, lambda: LiveUpdateCall("get_seals", self._memory())),
            (4, lambda: LiveUpdateCall("dup", self._any())),
            (12, self._close),
            (1, lambda: LiveUpdateCall("pipe")),
            (4, self._other_ioctl),
        )
        # Behind a jump, what the kernel before left is of more interest.
        self._behind = (*self._choices, (12, self._retrieve), (40, self._retrieve_fd), (4, self._finish))

    def operations(self, count: int) -> Iterator[LiveUpdateCall]:
        """`count` calls."""
        for number in range(count):
            weights, makers = zip(*(self._behind if self._jumped else self._choices), strict=True)
            if self._jumps and number == count * 3 // 5:
                yield LiveUpdateCall("kexec")
            elif number % _FILL_EVERY > _FILL_EVERY - _FILL:
                yield self._filling()
            elif len(self._open) > _FULL and self._random.random() < 0.5:
                yield self._close()
            else:
                [make] = self._random.choices(makers, weights)
                yield make()

    def _filling(self) -> LiveUpdateCall:
        """Calls that want a descriptor, until there is none."""
        makers = (self._memfd, self._memfd, self._create, self._retrieve, self._retrieve_fd, self._device)
        make = self._random.choice((*makers, lambda: LiveUpdateCall("dup", self._memory())))
        return LiveUpdateCall("pipe") if self._random.random() < 0.1 else make()

    def told(self, call: LiveUpdateCall, answer: Answer) -> None:
        """What the model answers to the last one."""
        ret = answer.ret
        if call.call == "kexec" and ret == 0:
            self._open.clear()
            self._jumped = True
        if ret < 0:
            return
        match call.call:
            case "open" if call.path == _DEVICE:
                self._open[ret] = "device"
            case "open":
                self._open[ret] = "memory" if call.path.startswith("/tmp") else "other"
            case "memfd_create":
                self._open[ret] = "memory"
            case "dup":
                self._open[ret] = self._open.get(call.fd, "other")
            case "close":
                self._open.pop(call.fd, None)
            case "pipe":
                self._open |= dict.fromkeys(self._free(2), "other")
            case "ioctl" if call.command == uapi.LIVEUPDATE_SESSION_PRESERVE_FD:
                self._kept += struct.unpack_from("=Q", call.argument.data, 8)
            case "ioctl" if answer.out:
                self._told_ioctl(call, bytes.fromhex(answer.out))

    def _told_ioctl(self, call: LiveUpdateCall, out: bytes) -> None:
        if call.command in _IOCTLS_OF_DEVICE:
            [fd] = struct.unpack_from("=i", out, 4)
            self._open[fd] = "session" if call.command == _IOCTLS_OF_DEVICE[0] else "retrieved"
        elif call.command == uapi.LIVEUPDATE_SESSION_RETRIEVE_FD and out:
            [fd] = struct.unpack_from("=i", out, 4)
            self._open[fd] = "memory"

    def _free(self, count: int) -> list[int]:
        return [fd for fd in range(FIRST_FD, LAST_FD + 1) if fd not in self._open][:count]

    # ---------------------------------------------------------------- descriptors

    def _of(self, *kinds: str) -> int:
        """A descriptor of such a kind, or any number if there is none."""
        found = [fd for fd, kind in self._open.items() if kind in kinds]
        if not found or self._random.random() < 0.03:
            return self._any()
        return self._random.choice(found)

    def _any(self) -> int:
        random = self._random
        if self._open and random.random() < 0.8:
            return random.choice(list(self._open))
        return random.choice((-1, LAST_FD, LAST_FD + 1, 1000, 1 << 30))

    def _memory(self) -> int:
        """A file in memory; of other kinds only what is closed, as what those answer is of no interest."""
        found = [fd for fd, kind in self._open.items() if kind == "memory"]
        return self._random.choice(found) if found and self._random.random() < 0.97 else -1

    # ---------------------------------------------------------------- calls

    def _device(self) -> LiveUpdateCall:
        path = self._random.choice((_DEVICE,) * 12 + OPENED + OPENED[-1:] * 3)
        return LiveUpdateCall("open", path=path, flags=self._random.choice((0, 2)) if path == _DEVICE else 0)

    def _close(self) -> LiveUpdateCall:
        """Mostly what is no session, so that sessions fill."""
        kinds = ("memory", "other") if self._random.random() < 0.75 else ("device", "session", "retrieved", "other")
        return LiveUpdateCall("close", self._of(*kinds))

    def _memfd(self) -> LiveUpdateCall:
        flags = self._random.choice((0, 1, 2, 2, 2, 3, 8, 8, 0x10, 0x12, 0x18, 4, 0x20, 0x80000000))
        name = self._random.choice(("", "m", "cache", "x" * 249, "x" * 250)) if self._random.random() < 0.2 else "m"
        return LiveUpdateCall("memfd_create", name=name, flags=flags)

    def _truncate(self) -> LiveUpdateCall:
        size = self._random.choice(_SIZES)
        if self._random.random() < 0.15:
            size = self._random.choice((*_HUGE, -1, -(1 << 63)))
        return LiveUpdateCall("ftruncate", self._memory(), size=size)

    def _seals(self) -> LiveUpdateCall:
        seals = self._random.choice((0, 1, 2, 4, 6, 8, 16, 32, 0x20, 63, 64, 1 << 31))
        return LiveUpdateCall("add_seals", self._memory(), seals=seals)

    def _write(self) -> LiveUpdateCall:
        """Within a page, as how a larger one is cut depends on how large Linux makes folios."""
        random = self._random
        offset = random.choice((0, 1, 100, PAGE_SIZE, PAGE_SIZE + 1, 2 * PAGE_SIZE, 1 << 16))
        data = random.randbytes(random.choice((1, 8, 64)))
        return LiveUpdateCall("pwrite", self._memory(), offset=offset, argument=Argument("mapped", data))

    def _read(self) -> LiveUpdateCall:
        offset = self._random.choice((0, 0, 90, PAGE_SIZE - 4, PAGE_SIZE, 2 * PAGE_SIZE, 1 << 16))
        return LiveUpdateCall("pread", self._memory(), offset=offset, size=self._random.choice((0, 1, 128)))

    def _create(self) -> LiveUpdateCall:
        return self._ioctl("device", _IOCTLS_OF_DEVICE[0], self._named(), 72)

    def _retrieve(self) -> LiveUpdateCall:
        return self._ioctl("device", _IOCTLS_OF_DEVICE[1], self._named(), 72)

    def _named(self) -> bytes:
        random = self._random
        name = random.choice(_NAMES).ljust(64, b"\0")
        if random.random() < 0.15:
            made = (b"", b"n" * 63 + b"\0", b"n" * 64, b"s1\0" + b"rest" * 15, b"\xff\xfe name", b"a b/../c")
            name = random.choice(made)[:64].ljust(64, b"\0")
        return struct.pack("=i64s", random.choice((0, -1, 12345)), name)

    def _preserve(self) -> LiveUpdateCall:
        fd = self._of("memory") if self._random.random() < 0.9 else self._any()
        body = struct.pack("=iQ", fd, self._token())
        return self._ioctl("session", uapi.LIVEUPDATE_SESSION_PRESERVE_FD, body, 16)

    def _token(self) -> int:
        return self._random.choice(_TOKENS) if self._random.random() < 0.7 else self._random.getrandbits(64)

    def _retrieve_fd(self) -> LiveUpdateCall:
        token = self._random.choice((*self._kept, *_TOKENS[:3]))
        body = struct.pack("=iQ", self._random.choice((0, -1)), token)
        return self._ioctl("retrieved", uapi.LIVEUPDATE_SESSION_RETRIEVE_FD, body, 16)

    def _finish(self) -> LiveUpdateCall:
        reserved = self._random.choice((0, 0, 0, 0, 1, 1 << 31))
        return self._ioctl("retrieved", uapi.LIVEUPDATE_SESSION_FINISH, struct.pack("=I", reserved), 8)

    def _get_name(self) -> LiveUpdateCall:
        body = struct.pack("=I64s", self._random.choice((0, 0, 0, 0, 7)), b"\xaa" * 64)
        return self._ioctl("session", uapi.LIVEUPDATE_SESSION_GET_NAME, body, 72)

    def _other_ioctl(self) -> LiveUpdateCall:
        """A number that is none, or another kind of file's."""
        random = self._random
        numbers = [0xBA00 + each for each in (2, 3, 0x3F, 0x44, 0x45, 0xFF)]
        numbers += [0xBB00, 0xBB40, 0xC008BA00, 0x4008BA43, 0x1BA01, 0x5451, random.getrandbits(32) | 0x8000]
        body = struct.pack("=I", 72) + self._named()
        return LiveUpdateCall(
            "ioctl",
            self._of("device", "session", "retrieved"),
            command=random.choice(numbers),
            argument=Argument("mapped", body),
        )

    def _ioctl(self, kind: str, command: int, body: bytes, size: int) -> LiveUpdateCall:
        """With a structure that mostly is right; `body` is what follows the size."""
        random = self._random
        kinds = {"session": ("session", "session", "retrieved"), "retrieved": ("retrieved", "session")}.get(
            kind, (kind,)
        )
        fd = self._of(*kinds) if kind != "session" or random.random() < 0.05 else self._of("session")
        if kind == "retrieved" and self._jumped and random.random() < 0.9:
            fd = self._of("retrieved")
        told, place = size, "mapped"
        if random.random() < 0.12:
            told = random.choice((0, 4, size - 1, size + 1, size + 8, 4096, PAGE_SIZE + 1, 1 << 21, 0xFFFF_FFFF))
            body += random.choice((b"", bytes(16), bytes(7) + b"\1", b"\1"))
        if random.random() < 0.08:
            place = random.choice(ARGUMENT_PLACES)
        data = struct.pack("=I", told) + body
        if place == "edge" and random.random() < 0.5:
            data = data[: random.choice((0, 3, 4, 8, len(data) - 1))]
        return LiveUpdateCall("ioctl", fd, command=command, argument=Argument(place, data))

"""The agent: it takes over what the kernel before handed on, keeps what services hand over, and holds the sessions of a
switch until the jump.

One thread, one loop: nothing it does waits for a service. It imports little, as services wait for it while a machine
comes up. What it holds lives on in the services too: if it is killed, the kernel closes its sessions, and gives
everything back.
"""

from __future__ import annotations

import _socket
import os
import select
import time

from warmboot.errors import RefusedError
from warmboot.liveupdate import systemd
from warmboot.liveupdate.problems import LiveUpdateError
from warmboot.liveupdate.wire import SOCKET, Channel, connect
from warmboot.switching.held import Entry, Held
from warmboot.switching.incoming import Incoming
from warmboot.switching.requests import STORED, Requests
from warmboot.switching.resumed import start_resumed_hooks

__all__ = ["Agent", "main"]

_MOST_CONNECTIONS = 256
_TICK = 200  # milliseconds between looks at time-outs


class Agent:
    """The listening agent. `close` ends it and closes every session."""

    def __init__(self, path: str, mode: int, group: int = -1) -> None:
        self._path = path
        self._poll = select.poll()
        self._channels: dict[int, Channel] = {}
        self._listener = _listening(path, mode, group)
        self._poll.register(self._listener.fileno(), select.POLLIN)
        self.held: Held = Held()
        self.incoming: Incoming = Incoming()
        self.requests: Requests = Requests(self.held, self.incoming)

    def take_over(self) -> None:
        """Retrieve what the kernel before handed on, and what systemd kept while the agent was away."""
        began = time.time_ns()
        _from_store(self.held)
        self.incoming.take(self.held)
        if systemd.has_store():
            for each in self.held:
                systemd.store(f"{STORED}{each.uid}.{each.name}", each.fd)
        self.requests.took_over = (began, time.time_ns())
        if self.incoming.journal:
            from warmboot.switching.journal import clock_line  # noqa: PLC0415 - after a switch alone

            self.requests.clock = clock_line()

    def serve(self) -> None:
        """Answer until the process ends."""
        while True:
            self.serve_once(_TICK)

    def serve_once(self, wait: int) -> None:
        """Answer what comes within `wait` milliseconds."""
        for fd, _ in self._poll.poll(wait):
            if fd == self._listener.fileno():
                self._accept()
            elif fd in self._channels:
                self._answer(self._channels[fd])
        self.requests.tick(time.monotonic())

    def close(self) -> None:
        """End: every connection and every session."""
        for each in [*self._channels.values()]:
            self._drop(each)
        self._listener.close()
        self.requests.close()

    def _accept(self) -> None:
        fd, _ = self._listener._accept()  # type: ignore[attr-defined]  # what socket.accept is made of
        socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fd)
        if len(self._channels) >= _MOST_CONNECTIONS:
            socket.close()
            return
        socket.setblocking(False)
        self._channels[fd] = Channel(socket)
        self._poll.register(fd, select.POLLIN)

    def _answer(self, channel: Channel) -> None:
        try:
            text, fds = channel.receive()
        except BlockingIOError:
            return
        except OSError:
            text, fds = "", ()
        if not text:
            for each in fds:
                os.close(each)
            self._drop(channel)
            return
        try:
            answer = self.requests.answer(channel, _peer(channel), text, fds)
            if answer is not None:
                channel.send(*answer)
        except OSError:
            self._drop(channel)

    def _drop(self, channel: Channel) -> None:
        self._poll.unregister(channel.fileno())
        del self._channels[channel.fileno()]
        self.requests.gone(channel)
        channel.close()


def main(path: str = SOCKET, mode: int = 0o600, group: int = -1) -> int:
    """Take over, then serve until the process is ended. Raises RefusedError where an agent runs already."""
    agent = Agent(path, mode, group)
    _survive_shutdown()
    try:
        agent.take_over()
        systemd.notify("READY=1\nSTATUS=holding what services hand over")
        if agent.incoming.expected:
            start_resumed_hooks(agent.incoming.expected)
        agent.serve()
    finally:
        agent.close()
    return 0


def _listening(path: str, mode: int, group: int) -> _socket.socket:
    try:
        connect(path, 1.0).close()
    except LiveUpdateError:
        pass
    else:
        raise RefusedError("an agent of live updates runs already", hint="warmboot switch --report asks it")
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)  # noqa: PTH103, PTH120 - pathlib costs time
        if os.path.exists(path):  # noqa: PTH110
            os.unlink(path)  # noqa: PTH108
        umask = os.umask(0o177)
        try:
            socket.bind(path)
        finally:
            os.umask(umask)
        if group >= 0:
            os.chown(path, -1, group)
        os.chmod(path, mode)  # noqa: PTH101
        socket.listen(64)
    except OSError as error:
        socket.close()
        raise RefusedError(f"{path}: {error.strerror}", hint="run it as root, or name another --socket") from None
    return socket


def _peer(channel: Channel) -> tuple[int, int]:
    """The process and the user at the other end (SO_PEERCRED)."""
    data = channel.socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    pid, uid, _ = (int.from_bytes(data[place : place + 4], "little") for place in (0, 4, 8))
    return pid, uid


def _from_store(held: Held) -> None:
    """What systemd kept while an agent of this kernel was away (FileDescriptorStoreMax= in its unit)."""
    for name in os.environ.get("LISTEN_FDNAMES", "").split(":", 1024):
        uid, _, rest = name.removeprefix(STORED).partition(".")
        if name.startswith(STORED) and uid.isdigit():
            fd = systemd.stored(name)
            if fd is not None:
                held.put(Entry(rest, fd, int(uid)))


def _survive_shutdown() -> None:
    """Tell systemd's last kill to leave this process alone: it holds the sessions until the jump.

    A process of root whose first argument begins with @ is not killed (systemd's "Storage Daemons for the Root File
    System"); since systemd 255 its unit says SurviveFinalKillSignal=yes as well.
    """
    if os.geteuid() != 0:
        return
    import ctypes  # noqa: PLC0415 - for root alone

    with open("/proc/self/stat", "rb") as file:  # noqa: PTH123
        fields = file.read(4096).rpartition(b")")[2].split()
    start = int(fields[45])  # arg_start, the 48th of all
    if start:
        ctypes.memset(start, ord("@"), 1)

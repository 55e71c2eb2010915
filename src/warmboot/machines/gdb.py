"""QEMU's debug stub, as far as a processor must be hurt: GDB's remote serial protocol over a socket.

Packets and commands are those of GDB's manual, appendix E. Addresses are virtual, as the stopped processor has them.
"""

from __future__ import annotations

import socket
from contextlib import suppress

__all__ = ["Debugger", "DebuggerError"]

_PATIENCE = 30.0  # seconds
_MOST = 1 << 16  # bytes of an answer


class DebuggerError(Exception):
    """QEMU's stub does not do what is asked; says what."""


class Debugger:
    """A machine that stands still while it is attached to, until `go` or `detach`."""

    def __init__(self, channel: socket.socket) -> None:
        channel.settimeout(_PATIENCE)
        self._channel = channel
        self._rest = b""

    def run_to(self, address: int) -> None:
        """Let the machine run; a processor that comes to `address` stops all. Raises DebuggerError."""
        self._done(f"Z1,{address:x},1")
        self._send("c")

    def stopped(self, address: int, timeout: float) -> None:
        """Wait up to `timeout` seconds for that, and forget the address. Raises DebuggerError."""
        self._channel.settimeout(timeout)
        try:
            stopped = self._answer()
        finally:
            self._channel.settimeout(_PATIENCE)
        if not stopped.startswith(("T05", "S05")):
            raise DebuggerError(f"QEMU's stub says {stopped[:40]!r} where a breakpoint was expected")
        self._done(f"z1,{address:x},1")

    def registers(self) -> bytes:
        """Those of the processor that stopped, in the order that GDB has them. Raises DebuggerError."""
        try:
            return bytes.fromhex(self.ask("g"))
        except ValueError:
            raise DebuggerError("QEMU's stub tells no registers") from None

    def write(self, address: int, data: bytes) -> None:
        """Write memory, whatever its protection. Raises DebuggerError."""
        self._done(f"M{address:x},{len(data):x}:{data.hex()}")

    def read(self, address: int, size: int) -> bytes:
        """Read memory. Raises DebuggerError."""
        try:
            return bytes.fromhex(self.ask(f"m{address:x},{size:x}"))
        except ValueError:
            raise DebuggerError(f"QEMU's stub has no memory at {address:#x}") from None

    def detach(self) -> None:
        """Let the machine run on without us."""
        with suppress(DebuggerError):
            self.ask("D")

    def ask(self, command: str) -> str:
        """Send a command; its answer. Raises DebuggerError."""
        self._send(command)
        return self._answer()

    def _done(self, command: str) -> None:
        answer = self.ask(command)
        if answer != "OK":
            raise DebuggerError(f"QEMU's stub answers {command[:20]!r} with {answer[:40]!r}")

    def _send(self, text: str) -> None:
        data = text.encode()
        try:
            self._channel.sendall(b"$%s#%02x" % (data, sum(data) & 0xFF))
        except OSError as error:
            raise DebuggerError(f"QEMU's stub is gone: {error}") from None

    def _answer(self) -> str:
        """The next packet; acknowledgements and console output are passed over."""
        while True:
            start = self._rest.find(b"$")
            end = self._rest.find(b"#", start)
            if 0 <= start < end and len(self._rest) >= end + 3:
                body, self._rest = self._rest[start + 1 : end], self._rest[end + 3 :]
                self._channel.sendall(b"+")
                return body.decode("ascii", "replace")
            try:
                piece = self._channel.recv(4096)
            except OSError as error:
                raise DebuggerError(f"QEMU's stub does not answer: {error}") from None
            if not piece or len(self._rest) > _MOST:
                raise DebuggerError("QEMU's stub has ended")
            self._rest += piece

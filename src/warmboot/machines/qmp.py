"""QMP: the events of a machine, read when QEMU is gone, and commands, one at a time."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack, suppress
from typing import Any

from warmboot.records import dataclass

__all__ = ["Ending", "Events", "Monitor", "MonitorError", "connected"]

_PATIENCE = 60.0  # seconds until QEMU must have answered or migrated
_POLL = 0.02  # seconds between looks at a migration


@dataclass(frozen=True, slots=True)
class Ending:
    """How a machine ended.

    `reason` is the word of QMP's ShutdownCause: guest-shutdown, guest-reset (a reboot or a triple fault),
    guest-panic, host-qmp-quit, host-signal; or "lost" where QEMU ended without a word. `status` is QEMU's
    exit status, negative for a signal.
    """

    reason: str
    panicked: bool
    status: int


class Events:
    """The events of one QEMU, by a socket that it inherits.

    An event is lost if it comes before the capabilities are negotiated, and a guest may end a millisecond
    after its release. So that command is in the socket before QEMU starts, and nothing waits for the
    client library, which is only imported to read the events when somebody asks for them.
    """

    def __init__(self, held: ExitStack) -> None:
        # QEMU's end stays open here as well: the library takes a hang-up while it connects badly.
        self._ours, theirs = connected(held, held)
        self.theirs: socket.socket = theirs
        self._send("qmp_capabilities")

    def quit(self) -> None:
        """Ask QEMU to end."""
        with suppress(OSError):
            self._send("quit")

    def outcome(self, status: int) -> Ending:
        """The end as the events of an ended QEMU tell it, with its exit `status`."""
        import asyncio  # noqa: PLC0415  (with the library, most of the time that all other imports take)

        return asyncio.run(self._read(status))

    def _send(self, command: str) -> None:
        self._ours.sendall(b'{"execute": "%s"}\n' % command.encode())

    async def _read(self, status: int) -> Ending:
        import logging  # noqa: PLC0415

        from qemu.qmp import QMPClient, Runstate  # noqa: PLC0415

        client = QMPClient("warmboot")
        client.negotiate = False
        client.logger.setLevel(logging.CRITICAL)  # it warns of the answers to commands that it did not send
        await client.connect(self._ours)
        self.theirs.close()
        while client.runstate == Runstate.RUNNING:
            await client.runstate_changed()
        with suppress(EOFError, OSError):
            await client.disconnect()
        events: dict[str, Any] = {str(event["event"]): event.get("data") for event in client.events.history}
        reason = events["SHUTDOWN"]["reason"] if "SHUTDOWN" in events else "lost"
        return Ending(reason, "GUEST_PANICKED" in events, status)


class MonitorError(Exception):
    """QEMU refuses a command, is silent, or gone; says which."""


class Monitor:
    """Commands to one QEMU over `channel`, one at a time; what it tells of its own accord is passed over."""

    def __init__(self, channel: socket.socket) -> None:
        channel.settimeout(_PATIENCE)
        self._channel = channel
        self._stream = channel.makefile("r", encoding="utf-8")
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """What QEMU returns. Raises MonitorError."""
        try:
            self._channel.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
            for line in self._stream:
                answer = json.loads(line)
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    raise MonitorError(f"QEMU refuses {command}: {answer['error']['desc']}")
        except OSError as error:
            raise MonitorError(f"QEMU does not answer {command}: {error}") from None
        raise MonitorError(f"QEMU has ended before {command}")

    def wait_for_migration(self) -> None:
        """Until it is complete. Raises MonitorError where it fails."""
        deadline = time.monotonic() + _PATIENCE
        while (found := self.ask("query-migrate").get("status")) != "completed":
            if found == "failed" or time.monotonic() > deadline:
                raise MonitorError(f"the guest cannot be copied: its migration is {found}")
            time.sleep(_POLL)


def connected(ours: ExitStack, theirs: ExitStack) -> tuple[socket.socket, socket.socket]:
    """Two connected sockets, each closed by its stack."""
    here, there = socket.socketpair()
    ours.callback(here.close)
    theirs.callback(there.close)
    return here, there

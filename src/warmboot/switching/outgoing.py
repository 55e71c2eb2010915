"""The sessions of one switch: made, filled, and held until the jump, or closed, which gives everything back."""

from __future__ import annotations

import errno
import os
import time

from warmboot.closing import Closing
from warmboot.liveupdate.device import LiveUpdate, Session
from warmboot.liveupdate.problems import LiveUpdateError
from warmboot.switching.fault import fault_point
from warmboot.switching.manifest import INDEX, JOURNAL_TOKEN, MANIFEST_TOKEN, session_name, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.switching.held import Entry

__all__ = ["Outgoing", "opened"]

_PATIENCE = 2.0  # seconds for another program to close the device


class Outgoing(Closing):
    """The sessions of the switch `id` with `entries`, one for each service, and the index with the `journal`,
    whose descriptor is closed with them.

    Raises LiveUpdateError, and then nothing is left.
    """

    def __init__(self, id: str, entries: list[Entry], journal: int) -> None:  # noqa: A002 - its name everywhere
        self._sessions: list[Session] = []
        self._manifest, self._journal = -1, journal
        self.bytes: int = sum(each.size for each in entries)
        try:
            self._make(id, entries, journal)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give everything back to the services, unless the jump was."""
        while self._sessions:
            self._sessions.pop().close()
        for each in (self._manifest, self._journal):
            if each >= 0:
                os.close(each)
        self._manifest = self._journal = -1

    def _make(self, id: str, entries: list[Entry], journal: int) -> None:  # noqa: A002
        services: dict[str, list[Entry]] = {}
        for each in entries:
            services.setdefault(session_name(each.service), []).append(each)
        with opened() as device:
            index = self._created(device, INDEX)
            made = {name: self._created(device, name) for name in services}
        fault_point("agent-sessions")
        for name, files in services.items():
            for token, each in enumerate(files):
                _preserve(made[name], token, each.fd, each.name)
        fault_point("agent-preserve")
        text = text_of(id, os.uname().release, services)
        self._manifest = os.memfd_create("warmboot-manifest", os.MFD_CLOEXEC)
        os.write(self._manifest, text)
        _preserve(index, MANIFEST_TOKEN, self._manifest, "the list of files")
        _preserve(index, JOURNAL_TOKEN, journal, "the journal")

    def _created(self, device: LiveUpdate, name: str) -> Session:
        try:
            session = device.create(name)
        except LiveUpdateError as error:
            raise LiveUpdateError(f"session '{name}': {error}", hint=error.hint, number=error.errno) from None
        self._sessions.append(session)
        return session


def opened() -> LiveUpdate:
    """The device, after waiting a little where another program has it open. Raises LiveUpdateError."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return LiveUpdate()
        except LiveUpdateError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _preserve(session: Session, token: int, fd: int, name: str) -> None:
    try:
        session.preserve(token, fd)
    except LiveUpdateError as error:
        raise LiveUpdateError(f"{name}: {error}", hint=error.hint, number=error.errno) from None

"""What the kernel before handed over, taken into the agent's hands at once, so that the kernel's part is finished.

Each file that cannot be had is lost for its own reason, and hurts no other.
"""

from __future__ import annotations

import os

from warmboot.liveupdate.device import LiveUpdate, Session
from warmboot.liveupdate.problems import LiveUpdateError
from warmboot.switching.held import Entry, Held, HeldError
from warmboot.switching.kernel_words import kernel_words, switch_of_command_line
from warmboot.switching.manifest import (
    INDEX,
    JOURNAL_TOKEN,
    MANIFEST_TOKEN,
    Listed,
    Manifest,
    ManifestError,
    parse,
    read_text,
)
from warmboot.switching.outgoing import opened

__all__ = ["Incoming"]

_NEVER = "no kernel handed anything over to this one: it was started by firmware, or by a kexec without a live update"


class Incoming:
    """`manifest` is None where nothing came, for the reason `problem`; `lost` has reasons by name, `arrived` sizes.

    `expected` is the switch that the command line names, "" where it names none. `journal` is the text of the steps
    before the jump.
    """

    def __init__(self) -> None:
        self.manifest: Manifest | None = None
        self.problem: str = ""
        self.expected: str = switch_of_command_line()
        self.journal: str = ""
        self.lost: dict[str, str] = {}
        self.arrived: dict[str, int] = {}
        self._is_there = False

    def take(self, held: Held) -> None:
        """Retrieve everything into `held`."""
        try:
            with opened() as device:
                self._take(device, held)
        except (LiveUpdateError, ManifestError) as error:
            self._fails(str(error))

    def why_cold(self, name: str) -> str:
        """Why there is nothing of that name."""
        if name in self.lost:
            return self.lost[name]
        if self.problem:
            return self.problem
        if self.manifest is None:
            return _NEVER
        return f"the switch from Linux {self.manifest.release} kept no file of that name"

    def _take(self, device: LiveUpdate, held: Held) -> None:
        try:
            index = device.retrieve(INDEX)
        except LiveUpdateError as error:
            if self.expected:
                self._fails(str(error))
            return
        with index:
            self._is_there = True
            self._read_index(index)
            assert self.manifest is not None
            sessions: dict[str, list[Listed]] = {}
            for each in self.manifest.files:
                sessions.setdefault(each.session, []).append(each)
            for name, files in sessions.items():
                self._take_session(device, name, files, held)
            index.finish()

    def _read_index(self, index: Session) -> None:
        fd = index.retrieve(MANIFEST_TOKEN)
        try:
            self.manifest = parse(read_text(fd))
        finally:
            os.close(fd)
        try:
            fd = index.retrieve(JOURNAL_TOKEN)
        except LiveUpdateError:
            return
        try:
            self.journal = read_text(fd)
        finally:
            os.close(fd)

    def _take_session(self, device: LiveUpdate, name: str, files: list[Listed], held: Held) -> None:
        try:
            session = device.retrieve(name)
        except LiveUpdateError as error:
            self.lost |= {each.name: str(error) for each in files}
            return
        with session:
            for each in files:
                try:
                    fd = session.retrieve(each.token)
                    os.set_inheritable(fd, False)
                    held.put(Entry(each.name, fd, each.uid, handed_over=True))
                except (LiveUpdateError, HeldError) as error:
                    self.lost[each.name] = str(error)
                    continue
                size = os.fstat(fd).st_size
                if size == each.size:
                    self.arrived[each.name] = size
                else:
                    held.forget(each.name, 0)
                    self.lost[each.name] = f"{size} bytes arrived of {each.size}"

    def _fails(self, why: str) -> None:
        if not self.expected and not self._is_there:
            return
        words = kernel_words()
        self.problem = f"{why}; the kernel says: {words}" if words else why

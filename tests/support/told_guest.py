"""A guest whose shell does what the second port says: `up` when a kernel is there, then each command and its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from warmboot.machines.guest import Guest, GuestError

__all__ = ["Said", "ToldGuest"]


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and its exit status."""

    status: int
    lines: list[str]

    @property
    def text(self) -> str:
        """The lines as one."""
        return "\n".join(self.lines)


class ToldGuest:
    """Commands for the guest, which whoever inherits this starts. Each raises GuestError where the guest ends, or is
    silent for `timeout` seconds."""

    guest: Guest
    _number = 0

    def up(self, timeout: float = 240.0) -> str:
        """Wait until a kernel has come up; its release."""
        for line in self._lines(timeout):
            if line.startswith("@@ up "):
                return line.removeprefix("@@ up ").strip()
        raise GuestError("the guest has ended", self.guest.last_words())

    def send(self, command: str) -> int:
        """Have a command begun; its number."""
        self._number += 1
        self.guest.send(f"{self._number} {command}")
        return self._number

    def run(self, command: str, timeout: float = 240.0) -> Said:
        """Run a command to its end."""
        number = self.send(command)
        said: list[str] = []
        for line in self._lines(timeout):
            if line.startswith("@@ : "):
                said.append(line.removeprefix("@@ : "))
            elif line.startswith(f"@@ {number} "):
                return Said(int(line.rpartition(" ")[2]), said)
            elif line.startswith("@@ up "):
                raise GuestError(f"the guest came up anew during: {command}", self.guest.last_words())
        raise GuestError(f"the guest ended during: {command}", self.guest.last_words())

    def _lines(self, timeout: float) -> Iterator[str]:
        for line in self.guest.lines(timeout):
            yield line.rstrip("\r")

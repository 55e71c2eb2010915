"""Services that watch: told before the jump, and when it was called off; who tells them waits for all of them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.liveupdate.wire import Channel

__all__ = ["Tellings"]


class Tellings:
    """At most one telling is under way."""

    def __init__(self) -> None:
        self._watching: list[Channel] = []
        self._pending: list[Channel] = []
        self._asker: Channel | None = None
        self._deadline = 0.0
        self._frozen = False

    def watch(self, channel: Channel) -> None:
        """This connection is told from now on."""
        if channel not in self._watching:
            self._watching.append(channel)

    def tell(self, what: str, asker: Channel, deadline: float) -> None:
        """Tell all; `asker` is answered when all are done, or at `deadline`, CLOCK_MONOTONIC's seconds."""
        self._frozen = what == "freeze"
        self._pending = [each for each in self._watching if _sent(each, what)]
        self._asker, self._deadline = asker, deadline
        self._answer_if_done()

    def done(self, channel: Channel) -> None:
        """A service has done what it does when it is told."""
        self._pending = [each for each in self._pending if each is not channel]
        self._answer_if_done()

    def gone(self, channel: Channel) -> None:
        """A connection was closed."""
        self._watching = [each for each in self._watching if each is not channel]
        if self._asker is channel:
            self._asker = None
        self.done(channel)

    def tick(self, now: float) -> None:
        """Look at the time-out."""
        if self._asker is not None and now > self._deadline:
            late = len(self._pending)
            self._pending = []
            _sent(self._asker, f"no {late} service{'s have' if late > 1 else ' has'} not answered in time")
            self._asker = None

    def call_off(self) -> None:
        """Tell who was told to freeze to go on."""
        self._asker, self._pending = None, []
        if self._frozen:
            self._frozen = False
            for each in self._watching:
                _sent(each, "thaw")

    def _answer_if_done(self) -> None:
        if self._asker is not None and not self._pending:
            _sent(self._asker, f"ok {len(self._watching)}")
            self._asker = None


def _sent(channel: Channel, text: str) -> bool:
    try:
        channel.send(text)
    except OSError:
        return False
    return True

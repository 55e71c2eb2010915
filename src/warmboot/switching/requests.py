"""What may be asked of the agent, and its answers: by services, and by `warmboot switch`, which must be root."""

from __future__ import annotations

import os
import time

from warmboot.liveupdate import systemd
from warmboot.liveupdate.problems import LiveUpdateError
from warmboot.liveupdate.wire import Channel
from warmboot.numbers import number
from warmboot.switching.fault import fault_point
from warmboot.switching.held import Entry, Held, HeldError, unit_of
from warmboot.switching.outgoing import Outgoing
from warmboot.switching.room import why_no_room
from warmboot.switching.tellings import Tellings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from warmboot.switching.incoming import Incoming

    Answer: TypeAlias = tuple[str, tuple[int, ...]]

__all__ = ["STORED", "Requests"]

STORED = "warmboot."  # what names in systemd's store begin with: warmboot.UID.NAME

_ROOTS = frozenset({"begin", "tell", "commit", "abort", "list", "report"})


class Requests:
    """The state of the agent between requests."""

    def __init__(self, held: Held, incoming: Incoming) -> None:
        self._held, self._incoming = held, incoming
        self._outgoing: Outgoing | None = None
        self._switch: Channel | None = None  # the connection of the switch that is under way
        self._until: float | None = None  # when a switch that was committed is called off after all
        self._tellings = Tellings()
        self._retrieved: dict[str, int] = {}  # when services took what was handed over: CLOCK_REALTIME, nanoseconds
        self._answered: dict[str, tuple[int, int]] = {}
        self.took_over: tuple[int, int] = (0, 0)
        self.clock: str = ""  # what the processor's counter showed then

    def answer(self, channel: Channel, peer: tuple[int, int], text: str, fds: tuple[int, ...]) -> Answer | None:
        """The answer to one message, None where it comes later. `fds` are closed or kept."""
        pid, uid = peer
        verb, *words = text.split(" ")
        kept: set[int] = set()
        try:
            if verb in _ROOTS:
                if uid not in (0, os.geteuid()):
                    return "no only root may ask that", ()
                return self._of_root(channel, verb, words, fds)
            if verb == "done":
                self._tellings.done(channel)
                return None
            return self._of_service(channel, verb, words, fds, Entry("", -1, uid, pid), kept)
        except (HeldError, LiveUpdateError) as error:
            return f"no {error}", ()
        finally:
            for each in fds:
                if each not in kept:
                    os.close(each)

    def gone(self, channel: Channel) -> None:
        """A connection was closed: a switch that was not committed is called off."""
        self._tellings.gone(channel)
        if channel is self._switch:
            self._switch = None
            if self._until is None:
                self._call_off()

    def tick(self, now: float) -> None:
        """Look at time-outs; `now` is CLOCK_MONOTONIC's seconds."""
        self._tellings.tick(now)
        if self._until is not None and now > self._until:
            self._call_off()

    def close(self) -> None:
        """Give everything back."""
        self._call_off()

    def _of_service(
        self, channel: Channel, verb: str, words: list[str], fds: tuple[int, ...], peer: Entry, kept: set[int]
    ) -> Answer:
        match verb, words:
            case "preserve", [name] if len(fds) == 1:
                kept.add(fds[0])  # put() closes it where it refuses
                self._held.put(Entry(name, fds[0], peer.uid, peer.pid))
                if systemd.has_store():
                    systemd.store(f"{STORED}{peer.uid}.{name}", fds[0])
                return "ok", ()
            case "retrieve", [name]:
                entry = self._held.get(name, peer.uid)
                if entry is None:
                    return f"cold {self._incoming.why_cold(name)}", ()
                self._retrieved.setdefault(name, time.time_ns())
                return "ok", (entry.fd,)
            case "forget", [name]:
                self._held.forget(name, peer.uid)
                if systemd.has_store():
                    systemd.notify(f"FDSTOREREMOVE=1\nFDNAME={STORED}{peer.uid}.{name}")
                return "ok", ()
            case "answered", [name, before, after]:
                first, last = number(before, most=1 << 63), number(after, most=1 << 63)
                if self._held.get(name, peer.uid) is None or first is None or last is None:
                    return "no there is no such file, or these are no times", ()
                self._answered.setdefault(name, (first, last))
                return "ok", ()
            case "watch", []:
                self._tellings.watch(channel)
                return "ok", ()
        return "no such request is not known", ()

    def _of_root(self, channel: Channel, verb: str, words: list[str], fds: tuple[int, ...]) -> Answer | None:
        match verb, words:
            case "list", []:
                return "ok\n" + "\n".join(self._listed()), ()
            case "report", []:
                return "ok\n" + "\n".join(self._reported()), ()
            case "begin", [identity, *wanted] if len(fds) == 1 and identity.isalnum():
                return self._begin(channel, identity, [each for each in wanted if each], fds[0])
            case "tell", [what, seconds] if what in ("freeze", "thaw"):
                limit = float(number(seconds, most=3600) or 0)
                self._tellings.tell(what, channel, time.monotonic() + limit)
                return None
            case "commit", [seconds]:
                if self._outgoing is None:
                    return "no nothing was begun", ()
                self._until = time.monotonic() + float(number(seconds, most=86400) or 0)
                return "ok", ()
            case "abort", []:
                self._call_off()
                return "ok", ()
        return "no such request is not known", ()

    def _begin(self, channel: Channel, identity: str, wanted: list[str], journal: int) -> Answer:
        if self._outgoing is not None:
            return "no another switch is under way", ()
        entries = self._held.chosen(wanted)
        problem = why_no_room(entries)
        if problem:
            return f"no {problem}", ()
        fault_point("agent-begin")
        self._outgoing = Outgoing(identity, entries, os.dup(journal))
        self._switch, self._until = channel, None
        names = " ".join(each.name for each in entries)
        return f"ok {self._outgoing.bytes} {names}".rstrip(), ()

    def _call_off(self) -> None:
        if self._outgoing is not None:
            self._outgoing.close()
        self._outgoing, self._switch, self._until = None, None, None
        self._tellings.call_off()

    def _listed(self) -> list[str]:
        return [f"{each.name} {each.size} {each.uid} {each.pid} {unit_of(each.pid) or '-'}" for each in self._held]

    def _reported(self) -> list[str]:
        came = self._incoming
        lines = [
            f"expected {came.expected or '-'}",
            f"release {os.uname().release}",
            f"took-over {self.took_over[0]} {self.took_over[1]}",
        ]
        lines += [f"problem {came.problem}"] if came.problem else []
        lines += [f"arrived {name} {size}" for name, size in came.arrived.items()]
        lines += [f"lost {name} {why}" for name, why in came.lost.items()]
        lines += [f"retrieved {name} {when}" for name, when in self._retrieved.items() if name in came.arrived]
        lines += [f"answered {name} {first} {last}" for name, (first, last) in self._answered.items()]
        lines += [self.clock] if self.clock else []
        return [*lines, *(f"before {line}" for line in came.journal.split("\n") if line)]

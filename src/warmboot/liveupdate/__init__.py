"""For services: memory that lives through a switch to another kernel ([live updates](../../docs/live-updates.md)).

    from warmboot import liveupdate

    try:
        memory = liveupdate.retrieve("cache")
    except liveupdate.ColdStartError as why:
        print(f"cold start: {why}")
        memory = os.memfd_create("cache")
        os.ftruncate(memory, 64 << 20)
    liveupdate.preserve("cache", memory)

Each name is loaded when it is first used.
"""

from __future__ import annotations

from warmboot.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.liveupdate.client import answered, forget, preserve, retrieve
    from warmboot.liveupdate.device import LiveUpdate, Session
    from warmboot.liveupdate.problems import ColdStartError, LiveUpdateError
    from warmboot.liveupdate.watching import watch

_HOMES = {
    "ColdStartError": "liveupdate.problems",
    "LiveUpdate": "liveupdate.device",
    "LiveUpdateError": "liveupdate.problems",
    "Session": "liveupdate.device",
    "answered": "liveupdate.client",
    "forget": "liveupdate.client",
    "preserve": "liveupdate.client",
    "retrieve": "liveupdate.client",
    "watch": "liveupdate.watching",
}

__all__ = [
    "ColdStartError",
    "LiveUpdate",
    "LiveUpdateError",
    "Session",
    "answered",
    "forget",
    "preserve",
    "retrieve",
    "watch",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy(globals(), _HOMES)

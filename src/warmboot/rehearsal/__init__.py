"""A rehearsal: a kernel loaded, handed over to and booted on a machine that exists only here.

Each name is loaded when it is first used. `rehearse` itself is in the module of that name.
"""

from __future__ import annotations

from warmboot.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.rehearsal.handover import HandOver, hand_over
    from warmboot.rehearsal.options import CommandLineRequest, Options

_HOMES = {
    "CommandLineRequest": "rehearsal.options",
    "HandOver": "rehearsal.handover",
    "Options": "rehearsal.options",
    "hand_over": "rehearsal.handover",
}

__all__ = ["CommandLineRequest", "HandOver", "Options", "hand_over"]

if not TYPE_CHECKING:  # to a type checker, a name that is not above is a mistake
    __getattr__, __dir__ = lazy(globals(), _HOMES)

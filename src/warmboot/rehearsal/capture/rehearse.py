"""A rehearsed crash, on the model or in a guest; where the reservation is too small, the one that would work."""

from __future__ import annotations

from dataclasses import replace

from warmboot.errors import RefusedError
from warmboot.memmap import Facts
from warmboot.rehearsal.capture.guest_way import crash_in_a_guest
from warmboot.rehearsal.capture.model_way import crash_on_the_model
from warmboot.rehearsal.capture.options import CrashOptions, Way
from warmboot.rehearsal.capture.search import find_crashkernel
from warmboot.rehearsal.capture.verdict import TOO_SMALL
from warmboot.stages import Observer, Result, Silent

__all__ = ["rehearse_crash"]

_MIB = 1 << 20
_SILENT = Silent()


def rehearse_crash(
    options: CrashOptions, way: Way = Way.GUEST, observer: Observer = _SILENT, *, facts: Facts | None = None
) -> Result:
    """Rehearse it. Raises InputError for unusable input."""
    if way is Way.MODEL:
        result = crash_on_the_model(options, observer, facts=facts)
    else:
        result = crash_in_a_guest(options, observer)
    if result.hint == TOO_SMALL:
        try:
            # What the guest had beside its reservation does not matter here, but larger ones must have room.
            found = find_crashkernel(replace(options, memory=max(options.memory, 1 << 30)), facts=facts)
        except RefusedError:
            return result
        result.verdict += f"; {found.smallest // _MIB} MiB would work"
        result.hint = f"{found.crashkernel}, which has a margin of {found.margin // _MIB} MiB"
    return result

"""The model, asked for the request that failed, on a machine of given facts or on any machine at all."""

from __future__ import annotations

from warmboot.errors import WarmbootError
from warmboot.kernel import Kernel, KexecError, PhysicalMemory
from warmboot.kernel.permit import permit
from warmboot.memmap import Facts
from warmboot.uapi import LoadRequest

__all__ = ["EVERYWHERE", "cleared", "refusal", "refusal_anywhere"]

# Rules that look at the request alone: what one machine refuses by them, all do.
EVERYWHERE = {"segment_count", "segment_wraps", "page_alignment", "overlap", "buffer_size"}
# And those that look at the machine too: a model that takes the request found none of them broken.
_ASKED = EVERYWHERE | {
    *("half_of_memory", "legal_flags", "architecture", "crash_entry", "crash_range", "destination_limit"),
    *("crash_reservation_missing", "crash_reservation_small"),
}
_PLENTY = 1 << 40  # bytes


def cleared(request: LoadRequest, facts: Facts) -> frozenset[str]:
    """Rules that are not the reason, as the model takes the request on the machine; empty where it refuses it too."""
    try:
        with PhysicalMemory.of(facts) as memory:
            permit(Kernel(facts, memory), request)
    except WarmbootError:
        return frozenset()
    return frozenset(_ASKED)


def refusal(request: LoadRequest, facts: Facts) -> KexecError | None:
    """How the model of the machine refuses it; None where it takes it, or the facts do not make a machine."""
    try:
        with PhysicalMemory.of(facts) as memory:
            permit(Kernel(facts, memory), request)
    except KexecError as error:
        return error
    except WarmbootError:
        return None
    return None


def refusal_anywhere(request: LoadRequest) -> KexecError | None:
    """How every machine refuses it, by what is wrong with the request itself; None where that is not so."""
    crash = request.flags & 1  # KEXEC_ON_CRASH: where the reservation lies decides first
    found = None if crash else refusal(request, Facts.of_pc(_PLENTY))
    return found if found is not None and found.rule.name in EVERYWHERE else None

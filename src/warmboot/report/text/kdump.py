"""kdump's state and trials as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from warmboot.report.text.words import size_text, table

if TYPE_CHECKING:
    from warmboot.kdump.fit import Fit
    from warmboot.kdump.state import KdumpState
    from warmboot.kdump.target import Check

__all__ = ["check_lines", "fit_lines", "state_lines"]

_SIGNS = {True: "yes", False: "NO", None: "not known"}


def fit_lines(fit: Fit) -> Iterator[str]:
    """What a capture kernel needs, part by part, and of what."""
    yield (
        f"needs about {size_text(fit.need)}: kernel {size_text(fit.kernel)}, unpacked {size_text(fit.unpacked)},"
        f" tables and drivers {size_text(fit.work)}, saving {size_text(fit.saving)}"
    )
    if fit.reserved is None:
        yield "nothing is reserved on this computer; 'warmboot crashkernel' finds the number by trying"
    elif fit.fits:
        yield f"it fits: {size_text(fit.reserved)} are reserved"
    else:
        yield f"IT DOES NOT FIT: {size_text(fit.reserved)} are reserved; reserve more by crashkernel="


def state_lines(state: KdumpState) -> list[str]:
    """The answer of `warmboot kdump status`, without its problems."""
    reserved = "not known" if state.reserved is None else size_text(state.reserved) if state.reserved else "nothing"
    rows = [
        ("kernel", state.kernel),
        ("initrd", " ".join(state.initrds) or "none"),
        ("target", state.target),
        ("reserved", reserved),
        ("loaded", _SIGNS[state.loaded]),
    ]
    if state.fit is not None:
        rows.append(("needs", f"about {size_text(state.fit.need)}"))
    return table(rows)


def check_lines(checks: Sequence[Check]) -> list[str]:
    """One line for each."""
    return table([(each.what, _SIGNS[each.ok], each.text) for each in checks])

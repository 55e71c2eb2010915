"""The crash reservation: where a crash image lives, its protection and its shrinking (kernel/crash_reserve.c)."""

from __future__ import annotations

from collections.abc import Sequence

from warmboot.memmap import Range

__all__ = ["CrashReservation"]


class CrashReservation:
    """crashk_res and crashk_low_res; the former is the high one where there are two.

    `start` and `last` are physical, inclusive, and both 0 where nothing is reserved. `shrinks_low` is the profile's
    shrinks_low_reservation.
    """

    def __init__(self, reserved: Sequence[Range], *, shrinks_low: bool = True) -> None:
        self._shrinks_low = shrinks_low
        self.crashk_low_res: Range | None = reserved[0] if len(reserved) > 1 else None
        self._set(reserved[-1] if reserved else None)
        self.protected: bool = False

    def _set(self, crashk_res: Range | None) -> None:
        self.crashk_res = crashk_res
        self.start: int = crashk_res.start if crashk_res else 0
        self.last: int = crashk_res.end - 1 if crashk_res else 0

    @property
    def size(self) -> int:
        """Bytes that are reserved, as sysfs counts them: without the low ones where those cannot shrink."""
        counted = (self.crashk_res, self.crashk_low_res if self._shrinks_low else None)
        return sum(each.size for each in counted if each)

    def arch_kexec_protect_crashkres(self) -> None:
        """Make the reservation read-only."""
        self.protected = True

    def arch_kexec_unprotect_crashkres(self) -> None:
        """Make the reservation writable."""
        self.protected = False

    def check_writable(self) -> None:
        """A kernel that writes to a protected reservation takes a page fault: here that is a bug of ours."""
        if self.protected:
            raise RuntimeError("the crash reservation is written while it is protected")

    def shrink_to(self, new_size: int) -> list[Range]:
        """Keep `new_size` bytes, at most as many as there are, and return what is given up."""
        low = self.crashk_low_res if self._shrinks_low and self.crashk_low_res else Range(0, 0)
        if low.size > new_size:
            kept = Range(low.start, low.start + new_size)
            self.crashk_low_res = kept if new_size else None
            given_up = [self._shrink_high(0), Range(kept.end, low.end)]
        else:
            given_up = [self._shrink_high(new_size - low.size)]
        if self._shrinks_low and self.crashk_res is None:
            # crash_shrink_memory: a low reservation that is all there is left becomes crashk_res.
            self._set(self.crashk_low_res)
            self.crashk_low_res = None
        return [each for each in given_up if each.size]

    def _shrink_high(self, new_size: int) -> Range:
        old = self.crashk_res or Range(0, 0)
        kept = Range(old.start, old.start + new_size)
        # Before 6.5 an empty crashk_res stays where it was and ends before its start: even address 0 is outside.
        self._set(kept if new_size or not self._shrinks_low else None)
        return Range(kept.end, old.end)

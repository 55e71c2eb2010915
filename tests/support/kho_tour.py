"""A tour through kernels that hand over to one another, in one guest, and what arrived at each jump."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from support.kho_guest import ON, GuestRefusedError, KhoGuest
from warmboot.debian import kernel
from warmboot.debian.built import BUILT, built_kernel
from warmboot.handover.compatible import Fate

__all__ = ["ALL", "Seen", "Stop", "Tour", "jumps", "toured"]

ALL = ("memory", "chain", "reserve_mem", "sessions", "memfd")
_SIZE = 64 << 10  # bytes of the memfd
_RESERVE = "reserve_mem=1M:4096:warmboot"
_RETRIEVE = 0xBA01


@dataclass(frozen=True)
class Stop:
    """A variant of `built_kernel`, or a series of Debian's, with its command line; `files` is whether it preserves a
    memfd."""

    kernel: str
    line: str = ON
    files: bool = True

    @property
    def file(self) -> Path:
        """Its vmlinuz."""
        return built_kernel(self.kernel) if self.kernel in BUILT else kernel(self.kernel)

    def __str__(self) -> str:
        return f"{self.kernel}{'' if self.line == ON else f' {self.line!r}'}{'' if self.files else ' without files'}"


@dataclass(frozen=True)
class Seen:
    """What became of each thing by name; what the first of the two kernels could not be asked for is left out."""

    fates: dict[str, Fate]


Tour = tuple[Stop, ...]


def jumps(tours: Sequence[Tour]) -> list[Any]:
    """Parameters of a test, for each jump of the tours: the tour, and the number of the stop that it leaves."""
    return [
        pytest.param(tour, number, id=f"{old} to {new}")
        for tour in tours
        for number, (old, new) in enumerate(pairwise(tour))
    ]


@cache
def toured(tour: Tour) -> list[Seen]:
    """What was seen at each jump of a tour, of which a panic is the last."""
    kernels = {each.kernel: each.file for each in tour}
    seen: list[Seen] = []
    with KhoGuest(kernels[tour[0].kernel], sorted(set(kernels.values())), line=f"{tour[0].line} {_RESERVE}") as guest:
        for old, new in pairwise(tour):
            absent, unknown = _preserve(guest, files=old.files)
            guest.load(new.file, f"{new.line} {_RESERVE}")
            if guest.jump():
                fates = _retrieved(guest, files=old.files)
            else:
                assert any("The incoming tree failed to initialize properly" in each for each in guest.words())
                fates = dict.fromkeys(ALL, Fate.PANIC)
            left_out = unknown if old.files else {*unknown, "memfd"}
            seen.append(Seen({each: absent.get(each, fates[each]) for each in fates if each not in left_out}))
    return seen


def _preserve(guest: KhoGuest, *, files: bool) -> tuple[dict[str, Fate], set[str]]:
    """Preserve what can be; what cannot, and what cannot be asked for after a live update that failed."""
    absent: dict[str, Fate] = {}
    if "scratch_len" not in guest("names", "/sys/kernel/debug/kho/out"):
        return dict.fromkeys(ALL, Fate.ABSENT), set()
    if "kexec-metadata" not in guest("names", "/sys/kernel/debug/kho/out/sub_fdts"):
        absent["chain"] = Fate.ABSENT
    if "device" not in guest("holds"):
        try:
            guest("device")
        except GuestRefusedError as error:
            if error.errno == "EIO":
                return absent, {"sessions", "memfd"}
            if error.errno != "ENOENT":
                raise
            return absent | dict.fromkeys(("sessions", "memfd"), Fate.ABSENT), set()
    guest("session", "empty")
    if files:
        guest("session", "full")
        guest("memfd", "pages", _SIZE, 7)
        try:
            guest("preserve", "full", "pages", 1)
        except GuestRefusedError as error:
            if error.errno != "ENOENT":
                raise
            absent["memfd"] = Fate.ABSENT
    return absent, set()


def _retrieved(guest: KhoGuest, *, files: bool) -> dict[str, Fate]:
    """What the kernel that runs has got."""
    log = guest("log")
    seen = {
        "memory": _if("fdt" in guest("names", "/sys/kernel/debug/kho/in")),
        "chain": _if(any("exec from: " in each for each in log)),
        "reserve_mem": _if(any("Revived memory reservation 'warmboot'" in each for each in log)),
    }
    refused = Fate.LOST
    try:
        guest("device")
        guest("session", "empty", _RETRIEVE)
        seen["sessions"] = Fate.SURVIVES
        guest("finish", "empty")
        refused = Fate.REFUSED
        if files:
            guest("session", "full", _RETRIEVE)
            guest("retrieve", "full", "pages", 1)
            seen["memfd"] = _if(guest("differs", "pages", _SIZE, 7) == -1)
            guest("finish", "full")
    except GuestRefusedError as error:
        fate = {"ENOENT": refused, "EIO": Fate.REFUSED}[error.errno]
        seen = {"sessions": fate, "memfd": fate} | seen
        if fate is Fate.REFUSED and refused is Fate.LOST:
            assert guest.said("No registered handler for compatible")
    for each in ("empty", "full", "pages"):  # their names are used again by the next stop
        if each in guest("holds"):
            guest("drop", each)
    return seen


def _if(there: object) -> Fate:
    return Fate.SURVIVES if there else Fate.LOST

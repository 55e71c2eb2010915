"""x86_64: see witness.S."""

from __future__ import annotations

from warmboot.oracle.witness.arch.interface import WitnessArch
from warmboot.oracle.witness.arch.x86_64.report import REPORT
from warmboot.stubs.stub import stub
from warmboot.uapi import KexecArch

__all__ = ["ARCH"]

_SCRATCH = 0x8000

ARCH = WitnessArch(
    code=stub(__file__, "witness"),
    table=16,
    scratch=_SCRATCH,
    size=_SCRATCH + 4096,
    flag=KexecArch.X86_64,
    report=REPORT,
)

"""x86_64: see witness.S."""

from __future__ import annotations

from warmboot.oracle.witness.arch.interface import FileRules, WitnessArch
from warmboot.oracle.witness.arch.x86_64.file_load import (
    FILE_ENTRY,
    HALT,
    debugger_registers,
    file_header,
    random_seed,
    setup_part,
)
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
    file=FileRules(file_header, setup_part, FILE_ENTRY, HALT, debugger_registers, ("rsp",), random_seed),
)

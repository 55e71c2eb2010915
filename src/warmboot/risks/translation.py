"""The IOMMU: where it translates, devices that go on writing meet the new kernel's tables, or none."""

from __future__ import annotations

import re
from collections.abc import Iterator

from warmboot.numbers import number
from warmboot.risks.risk import POSSIBLE, Risk, Told
from warmboot.risks.told import lines

__all__ = ["translation"]

_TRANSLATED = ("DMA", "DMA-FQ")  # of /sys/kernel/iommu_groups/N/type
_ON = re.compile(r"\b(?:intel_iommu|amd_iommu)=(?:on|force)|\biommu=(?:on|force)\b|\bintel_iommu=\S*,on\b")


def translation(told: Told, command_line: str) -> Iterator[Risk]:
    """Switched on by the running command line and not by the new one; or the groups of devices that are translated."""
    on = _ON.search(told.cmdline)
    if on is not None and _ON.search(command_line) is None:
        subject = "the IOMMU is on by the command line, and not by the new one"
        seen = f"{on[0]} is on the running command line, and not on the new one that is known"
        yield Risk("iommu", POSSIBLE, subject, seen)
        return
    words = (line.partition(" ") for line in lines(told, "iommu"))
    groups = sum(number(count) or 0 for kind, _, count in words if kind in _TRANSLATED)
    if groups:
        subject = "the IOMMU translates"
        seen = f"the IOMMU translates for {groups} groups of devices: the new kernel must have it on too"
        yield Risk("iommu", POSSIBLE, subject, seen)

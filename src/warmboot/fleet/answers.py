"""What is said of each machine of a fleet, and of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from warmboot.risks.risk import Risk

__all__ = ["COLUMNS", "Document", "FleetAnswer", "Group", "MachineAnswer", "Problem", "Refused", "RiskGroup"]


class Document(NamedTuple):
    """The facts of one machine, not parsed yet; `source` is the file, with a line where it holds many."""

    source: str
    name: str  # of the machine, unless its facts have one
    text: bytes


class Problem(NamedTuple):
    """Facts that cannot be used."""

    source: str
    message: str
    hint: str


class Refused(NamedTuple):
    """Why a machine refuses. `subject` is the same for all machines that lack the same; `short` are bytes."""

    rule: str
    subject: str
    reason: str
    hint: str
    errno: str | None
    short: int


@dataclass(frozen=True, slots=True)
class MachineAnswer:
    """Whether the image loads on one machine. Sizes are bytes, null where they are not known.

    `largest_hole` is the largest free range that an image may take, `half_of_memory` what an image may take in all,
    `takes` what this one takes, `crash_reservation` what is reserved for crash kernels. `short` is what is missing.
    """

    name: str
    source: str
    loads: bool
    rule: str | None
    reason: str
    hint: str
    errno: str | None
    short: int
    release: str
    machine: str
    call: str
    profile: str
    fit: str
    takes: int | None
    largest_hole: int | None
    half_of_memory: int | None
    crash_reservation: int | None
    notes: tuple[str, ...]
    subject: str  # what it lacks, the same for all that lack the same
    risks: tuple[Risk, ...] = ()  # what may fail after the jump, as far as its facts tell


COLUMNS = tuple(MachineAnswer.__dataclass_fields__)


@dataclass(frozen=True)
class Group:
    """The machines that refuse by one rule for want of the same thing.

    `change` is the smallest that fixes them all as far as the model can tell, tried on `tried_on`, which lacks most;
    null where none was found, and `hint` is all that can be said. `short` is the most that is missing, in bytes.
    """

    rule: str
    subject: str
    machines: int
    names: tuple[str, ...]
    reason: str
    short: int
    change: str | None
    tried_on: str
    hint: str


@dataclass(frozen=True)
class RiskGroup:
    """The machines that have one risk after the jump: `example` is what one of them tells that speaks for it."""

    rule: str
    confidence: str
    subject: str
    machines: int
    names: tuple[str, ...]
    example: str


@dataclass(frozen=True)
class FleetAnswer:
    """All machines. `problems` are the first of the facts that cannot be used, `unusable` is how many there are.

    `risks` are what may fail after the jump where it loads, the likely first.
    """

    kernel: str
    version: str
    machines: int
    loads: int
    refuses: int
    unusable: int
    groups: tuple[Group, ...]
    notes: dict[str, int]
    problems: tuple[str, ...]
    verdict: str
    exit_status: int
    risks: tuple[RiskGroup, ...] = ()

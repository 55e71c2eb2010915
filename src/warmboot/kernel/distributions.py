"""Kernels of distributions, whose releases' numbers do not tell what was brought back into them.

What is said here was read in the distributions' sources; none was compared call for call but Debian's. Only what is
seen in a release's name is used: it is all that facts have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from warmboot.records import dataclass, field

__all__ = ["DEBIAN", "Distribution", "distribution_of"]


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution's kernels: by version and patchlevel the profile that is nearest, and why it is."""

    name: str
    releases: re.Pattern[str]
    nearest: Mapping[tuple[int, int], tuple[str, str]] = field(default_factory=dict)


DEBIAN = Distribution("Debian", re.compile(r".*(?:-(?:cloud-|rt-)?amd64|\+deb[0-9]+.*)"))

_RED_HAT = "Red Hat brings later changes back into it, others in each minor release"
_TABLE = (
    DEBIAN,
    # Before Red Hat's own: Oracle's other kernel follows the stable releases.
    Distribution("Oracle Linux (UEK)", re.compile(r".*\.el[0-9]+uek.*")),
    Distribution("ELRepo", re.compile(r".*\.elrepo.*")),
    Distribution(
        "Red Hat Enterprise Linux 8",
        re.compile(r".*\.el8(?:_[0-9]+)?\b.*"),
        {(4, 18): ("linux-5.10", f"kexec_load checks as 5.10 does, lockdown among it; {_RED_HAT}")},
    ),
    Distribution(
        "Red Hat Enterprise Linux 9",
        re.compile(r".*\.el9(?:_[0-9]+)?\b.*"),
        {
            (5, 14): (
                "linux-6.3",
                f"it has the load limits of 6.3, and shrinks the crash reservation as 6.3 does; {_RED_HAT}",
            )
        },
    ),
    Distribution(
        "Red Hat Enterprise Linux 10",
        re.compile(r".*\.el10(?:_[0-9]+)?\b.*"),
        {(6, 12): ("linux-6.12", _RED_HAT)},
    ),
    Distribution(
        "SUSE",
        re.compile(r".*-default"),
        {
            (5, 14): ("linux-5.10", "the last profile before 5.15; SUSE brings later changes back into it"),
            (6, 4): ("linux-6.3", "the last profile before 6.5; SUSE brings later changes back into it"),
            (6, 12): ("linux-6.12", "SUSE brings later changes back into it"),
        },
    ),
    Distribution(
        "Ubuntu",
        re.compile(r".*-(?:generic|lowlatency|kvm|azure|aws|gcp|oracle|ibm|oem|raspi|nvidia)(?:-[0-9a-z.]+)*"),
        {(5, 4): ("linux-5.10", "kexec_load checks as 5.10 does; Ubuntu brings stable releases' fixes into it")},
    ),
    Distribution("Amazon Linux", re.compile(r".*\.amzn[0-9]+.*")),
    Distribution("Fedora", re.compile(r".*\.fc[0-9]+.*")),
)


def distribution_of(release: str) -> Distribution | None:
    """Whose kernel it is by the text of `uname -r`; None where that does not tell."""
    return next(_matching(release), None)


def _matching(release: str) -> Iterator[Distribution]:
    return (each for each in _TABLE if each.releases.fullmatch(release))

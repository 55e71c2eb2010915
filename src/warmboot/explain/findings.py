"""Findings: why it failed, how sure that is, from what it was told, and what would help."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CONFIDENCES", "Diagnosis", "Finding", "RuleEntry", "RuleList"]

CONFIDENCES = ("certain", "likely", "possible")


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that may be the reason.

    `confidence` is certain: the model refuses the same request with the same errno; likely: a line or a fact says so;
    possible: the errno allows it. `told` is the line or the fact, `numbers` what the model says with its figures.
    """

    rule: str
    confidence: str
    title: str
    numbers: str
    told: tuple[str, ...]
    helps: tuple[str, ...]
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings, the best first, and `more`: what would decide between them, as commands with a reason."""

    findings: tuple[Finding, ...]
    errno_name: str | None
    call: str | None
    facts: str
    more: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """A rule of the catalog, or its page: `page` is Markdown, empty in a list."""

    rule: str
    group: str
    errno_name: str | None
    source: str | None
    title: str
    page: str


@dataclass(frozen=True, slots=True)
class RuleList:
    """The catalog."""

    rules: tuple[RuleEntry, ...]

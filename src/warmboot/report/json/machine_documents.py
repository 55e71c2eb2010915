"""The answers about a machine, apart from the others: they are made of much that those need not import."""

from __future__ import annotations

from dataclasses import dataclass

from warmboot.kernel.signature_verdict import MachineVerdict
from warmboot.memmap import Facts
from warmboot.signatures.figures import SignatureFigures

__all__ = ["GatheredFacts", "SignatureAnswer"]


@dataclass(frozen=True)
class GatheredFacts(Facts):
    """Facts of another computer, with its name; `lacked` is in words what had to be assumed."""

    name: str = ""
    hostname: str = ""
    lacked: tuple[str, ...] = ()


@dataclass(frozen=True)
class SignatureAnswer:
    """A file's signature, and what a machine's kernel says of it; where there is no machine, `no_machine` says why."""

    signature: SignatureFigures
    machine: MachineVerdict | None
    no_machine: str | None

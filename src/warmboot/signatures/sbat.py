"""SBAT: generations of the components of an EFI program, and those that shim still starts (shim's SBAT.md).

The kernel's file call looks at none of it: a kernel that shim would refuse can be started by kexec.
"""

from __future__ import annotations

from dataclasses import dataclass

from warmboot.formats import pe
from warmboot.numbers import number

__all__ = ["Component", "components_of", "parse_sbat", "revoked"]

_SECTION = ".sbat"
_MOST_BYTES, _MOST = 64 << 10, 200


@dataclass(frozen=True, slots=True)
class Component:
    """A component and its generation, such as sbat 1, or linux.debian 1."""

    name: str
    generation: int


def components_of(data: memoryview) -> tuple[Component, ...]:
    """Those of a PE file, in its order; none where it has no section .sbat."""
    for each in pe.sections(data):
        if each.name == _SECTION:
            return parse_sbat(bytes(each.data[:_MOST_BYTES]))
    return ()


def parse_sbat(text: bytes) -> tuple[Component, ...]:
    """The lines of such a section, or of SbatLevelRT; those that are none are left out."""
    found = []
    for line in text[:_MOST_BYTES].rstrip(b"\0").decode("utf-8", "replace").split("\n")[:_MOST]:
        name, _, rest = line.partition(",")
        generation = number(rest.partition(",")[0].strip(), most=0xFFFF)
        if name and generation is not None:
            found.append(Component(name.strip(), generation))
    return tuple(found)


def revoked(components: tuple[Component, ...], level: tuple[Component, ...]) -> tuple[Component, ...]:
    """The components of a program that are older than the machine's level allows."""
    least = {each.name: each.generation for each in level}
    return tuple(each for each in components if each.generation < least.get(each.name, 0))

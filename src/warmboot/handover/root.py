"""The root of a handover: KHO's FDT, which names the map of what is preserved, and the subtrees of its users."""

from __future__ import annotations

from dataclasses import dataclass

from warmboot.handover.abi import KHO, KhoVersion, version_of
from warmboot.handover.fdt import Fdt, Node, parse_fdt
from warmboot.handover.interface import PAGE_SIZE, HandoverError

__all__ = ["MAP", "Root", "Subtree", "read_root"]

MAP = "preserved-memory-map"
_BLOBS, _SIZE = ("preserved-data", "fdt"), "blob-size"
_LARGEST = 1 << 32  # bytes of a subtree
_SHOWN = 4096  # bytes of a subtree whose size is not told


@dataclass(frozen=True, slots=True)
class Subtree:
    """What a user of KHO registered: `size` bytes at a physical address; 0 where the version does not tell it."""

    name: str
    address: int
    size: int


@dataclass(frozen=True, slots=True)
class Root:
    """The root FDT, at a physical address, or 0 where that is not known. `known`: this version is in the tables; else
    it is read as the newest one. `map` is the map's physical address, 0 where there is none."""

    address: int
    compatible: str
    version: KhoVersion
    known: bool
    map: int
    subtrees: tuple[Subtree, ...]
    problems: tuple[str, ...]
    tree: Fdt

    def subtree(self, name: str) -> Subtree | None:
        """The subtree of that name."""
        return next((each for each in self.subtrees if each.name == name), None)


def read_root(data: bytes, address: int = 0) -> Root:
    """The root that `data`, a page or what debugfs has of it, begins with. Raises HandoverError where it is none."""
    name = f"the root FDT at {address:#x}" if address else "the root FDT"
    tree = parse_fdt(data[:PAGE_SIZE], name)
    compatible = tree.root.compatible
    if not compatible and tree.problem:  # the names of properties are what is missing first
        first = next(iter(tree.root.properties.values()), b"")
        compatible = first.split(b"\0")[0].decode("ascii", "backslashreplace")
    found = version_of(KHO, compatible)
    if found is None:
        raise HandoverError(f"{name}: is of {compatible!r}, not of kho", hint="give KHO's own tree")
    version, known = found
    problems = [tree.problem] if tree.problem else []
    address_of_map = tree.root.number(MAP) or 0
    if not address_of_map and tree.problem:  # names of properties are at the end; this is the only one of 8 bytes
        address_of_map = next((tree.root.number(each) or 0 for each in tree.root.properties if each[:1] == "?"), 0)
    if not address_of_map and version.blob == "fdt":
        problems.append(f"{name}: has no map yet: before 7.0 it is made when the handover is finalized")
    elif not address_of_map and not tree.problem:
        problems.append(f"{name}: has no {MAP} of 8 bytes")
    subtrees = []
    for each in tree.root.children:
        subtree = _subtree(each)
        if subtree is None:
            problems.append(f"{name}: {each.name}: tells no address of its data")
        else:
            subtrees.append(subtree)
    return Root(address, compatible, version, known, address_of_map, tuple(subtrees), tuple(problems), tree)


def _subtree(node: Node) -> Subtree | None:
    """Where the names of its properties are cut off, address and size are the first two."""
    numbers = [int.from_bytes(each, "little") for each in node.properties.values() if len(each) == 8]
    address = next((value for each in _BLOBS if (value := node.number(each)) is not None), None)
    size = node.number(_SIZE)
    if address is None and any(each.startswith("?") for each in node.properties) and numbers:
        address, size = numbers[0], numbers[1] if len(numbers) > 1 else None
    if address is None:
        return None
    return Subtree(node.name, address, size if size is not None and size <= _LARGEST else 0)

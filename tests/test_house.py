"""The house: which room may import which, no circle, and nothing of one architecture outside its wing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import warmboot

HOUSE = Path(warmboot.__file__).parent

# The rooms from the ground up: a module imports from rooms on lower lines alone, or from its own.
FLOORS = [
    "closing errors lazy numbers programs version visible",
    "command_line streams uapi wings",
    "files formats stubs",
    "memmap",
    "images purgatory",
    "dump",
    "placement",
    "kernel",
    "debian machines live",
    "figures",
    "figures",
    "stages",
    "rehearsal loading",
    "oracle report",
    "dropin",
    "cli",
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms.split()}
# Single imports that go up or across, each with its reason.
ALLOWED: dict[tuple[str, str], str] = {}
MODULES = {
    ".".join(("warmboot", *path.relative_to(HOUSE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(HOUSE.rglob("*.py"))
}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Modules of ours that the file imports, and whether it does when it is loaded itself."""
    tree = ast.parse(path.read_bytes())
    at_once = {id(node) for node in _at_load(tree.body)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "warmboot":
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module, id(node) in at_once
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in MODULES:
                    yield alias.name, id(node) in at_once


def _at_load(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        for inner in ("body", "orelse", "finalbody"):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _at_load(getattr(node, inner, []))


@pytest.mark.parametrize("module", [each for each in MODULES if room(each)])
def test_a_room_imports_from_rooms_below_it(module: str) -> None:
    assert room(module) in FLOOR or module == "warmboot.__main__", "a new room needs its floor in FLOORS"
    up = {
        target
        for target, _ in imports(MODULES[module])
        if room(target)
        and room(target) != room(module)
        and FLOOR.get(room(target), 99) >= FLOOR.get(room(module), 99)
        and (module, target) not in ALLOWED
    }
    assert not up


def test_no_circle() -> None:
    graph = {module: {target for target, now in imports(path) if now} - {module} for module, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_exception_is_used() -> None:
    used = {(module, target) for module, path in MODULES.items() for target, _ in imports(path)}
    assert set(ALLOWED) <= used


def test_wings_are_reached_by_of_alone() -> None:
    """Nobody names the folder of an architecture but the files in it."""
    named = {
        (module, target)
        for module, path in MODULES.items()
        for target, _ in imports(path)
        if ".arch." in target and not target.endswith(".arch.interface")
        if target.split(".arch.")[0] != f"{module}.".split(".arch.")[0] or ".arch." not in f"{module}."
    }
    assert not named

"""The house: which room may import which, no circle, and nothing of one architecture outside its wing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import warmboot

HOUSE = Path(warmboot.__file__).parent

# The rooms from the ground up: a module imports from rooms on lower lines alone, or from its own.
FLOORS = [
    "closing errors lazy numbers programs records version visible",
    "command_line streams uapi wings",
    "files formats liveupdate stubs",
    "memmap signatures",
    "images purgatory",
    "dump",
    "placement risks",
    "kernel",
    "debian explain machines live",
    "handover timing",
    "blackbox",
    "crash_figures handed_figures switch_figures",
    "figures",
    "stages",
    "rehearsal loading kdump",
    "fleet switching",
    "roll",
    "oracle report",
    "dropin",
    "cli pytest_plugin",
    "manual",
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


# What only x86 has, as a whole word of an identifier or of a text of the program (comments and docstrings may explain).
_X86 = re.compile(
    r"(?<![a-z])(x86|i386|cr[034]|e820|rsdp|la57|gbpages|bzimage|multiboot|boot_params|zero_page|seabios|edd|vga|efer"
    r"|r[abcd]x|r[sd]i|r[is]p)(?![a-z])",
    re.IGNORECASE,
)
# Where x86 is named outside of a wing today, and why. A file or a word that is not here fails the test, and so does
# one that is here and is named no more.
_NAMED = {
    "formats of kernels that x86 has, told by content on every architecture": """
        __init__.py: bzimage
        cli/inspect.py: multiboot
        fleet/checker.py: bzimage
        cli/load.py: bzimage multiboot
        cli/options.py: multiboot
        cli/rehearse.py: bzimage multiboot
        images/__init__.py: bzimage multiboot
        images/addons.py: x86
        images/allowance.py: bzimage
        blackbox/files.py: bzimage
        images/bzimage.py: bzimage
        images/processor_needs.py: la57 x86
        images/detect.py: bzimage
        images/elf.py: multiboot x86
        images/multiboot.py: multiboot x86
        images/multiboot2.py: multiboot x86
        images/others.py: bzimage i386 x86
        images/probe.py: bzimage multiboot
        images/unpack.py: bzimage
        images/vmlinux.py: bzimage
        images/uki.py: bzimage i386 x86
        kernel/kexec_sig.py: bzimage
        kernel/rules.py: bzimage
        live/kernel_config.py: bzimage
        loading/load.py: bzimage
        rehearsal/run.py: bzimage
        manual/pictures.py: bzimage
        placement/segments.py: bzimage
        rehearsal/demo.py: bzimage
        rehearsal/handed/rehearse.py: bzimage
        report/text/image.py: bzimage multiboot
    """,
    "the members of facts, and what a PC's firmware tells, by the names that Linux and their JSON have": """
        explain/catalog.py: rsdp
        explain/judge.py: rsdp
        explain/jump.py: la57 rsdp
        explain/seen.py: bzimage la57 rsdp
        explain/signs.py: bzimage la57 rsdp
        cli/facts.py: e820
        handover/live.py: boot_params
        handover/early.py: la57
        live/arch/interface.py: la57 rsdp
        live/computer.py: e820 la57 rsdp
        live/crash.py: e820
        live/efi.py: boot_params
        live/secure_boot.py: boot_params
        live/facts.py: gbpages la57 rsdp
        live/from_files.py: e820
        live/handover.py: boot_params
        live/gathered.py: boot_params e820
        live/kernel_log.py: e820
        timing/this_boot.py: boot_params
        machines/arch/interface.py: rsdp
        machines/qemu.py: rsdp
        memmap/__init__.py: e820
        memmap/entries.py: e820
        memmap/facts.py: e820 gbpages la57 rsdp
        memmap/firmware.py: boot_params edd rsdp
        placement/crash.py: e820
        placement/host.py: e820 la57 rsdp
        placement/layout.py: boot_params e820
        rehearsal/computer.py: rsdp
        rehearsal/crash.py: e820
        rehearsal/kernel_words.py: rsdp
    """,
    "the two system call ABIs and the machine on which calls are recorded and replayed: x86_64 kernels": """
        oracle/calls/busy.py: i386 x86
        oracle/calls/coverage.py: i386
        oracle/calls/deliberate.py: x86
        oracle/calls/fuzz.py: x86
        oracle/calls/generate.py: i386 x86
        oracle/calls/mistakes.py: i386 x86
        oracle/calls/read_trace.py: i386 x86
        oracle/calls/replay.py: i386
        oracle/draft/questions.py: gbpages i386 x86
        oracle/guest/agent.py: i386
        oracle/guest/root.py: x86
        oracle/witness/layouts.py: x86
    """,
    "numbers and names of architectures: tables with a row for each": """
        cli/environment.py: x86
        debian/kernels.py: x86
        dump/drgn_program.py: x86
        explain/segments.py: x86
        formats/elf.py: x86
        formats/ident.py: x86
        formats/pe.py: i386 x86
        images/arch/__init__.py: x86
        kernel/arch/__init__.py: x86
        live/arch/__init__.py: x86
        machines/arch/__init__.py: x86
        memmap/arch/__init__.py: x86
        stubs/build.py: x86
        uapi/kexec.py: i386 x86
    """,
    "kexec-tools' options and texts, which the drop-in repeats": """
        dropin/arch/__init__.py: x86
        dropin/command.py: vga
        dropin/load.py: bzimage x86
        dropin/load_file.py: vga
        dropin/load_segments.py: bzimage vga
        dropin/usage.py: bzimage multiboot vga x86
    """,
    "registers and parameters that are handed to a wing by name": """
        figures.py: boot_params
        purgatory/parameters.py: rax rbx rdi rsi vga
        blackbox/causes.py: rip rsdp
        blackbox/in_words.py: rip
        purgatory/record.py: cr0 cr3 cr4 efer rax rbx rcx rdi rdx rip rsi rsp
        rehearsal/run.py: boot_params
        oracle/guest/file_witness_agent.py: boot_params
        oracle/witness/file_witness.py: boot_params
        report/compare/prepare.py: boot_params
        report/text/rehearsal.py: rip
    """,
}


def _words(path: Path) -> set[str]:
    """The words of `_X86` in the file's code."""
    tree = ast.parse(path.read_bytes())
    docstrings = {id(each) for node in ast.walk(tree) for each in _docstring(node)}
    found: set[str] = set()
    for node in ast.walk(tree):
        for text in _texts(node):
            if id(node) not in docstrings:
                found |= {word.lower() for word in _X86.findall(text)}
    return found


def _docstring(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Module(body=[ast.Expr(value), *_]) | ast.ClassDef(body=[ast.Expr(value), *_]):
            return [value]
        case ast.FunctionDef(body=[ast.Expr(value), *_]):
            return [value]
    return []


def _texts(node: ast.AST) -> list[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.alias(name=name):
            return [name]
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.keyword(arg=str(name)):
            return [name]
        case ast.ImportFrom(module=str(name)) | ast.Constant(value=str(name)):
            return [name]
    return []


def test_x86_is_named_in_its_wings() -> None:
    known = {
        (name, word)
        for lines in _NAMED.values()
        for name, _, words in (line.strip().partition(": ") for line in lines.strip().splitlines())
        for word in words.split()
    }
    named = {
        (str(path.relative_to(HOUSE)), word)
        for path in MODULES.values()
        if "/arch/x86_64/" not in str(path)
        for word in _words(path)
    }
    assert named - known == set()
    assert known - named == set()

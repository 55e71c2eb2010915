"""A dump as a drgn.Program: drgn's own reader where it can read the file, ours where it cannot.

drgn is optional; this module is imported for `warmboot dump drgn` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import drgn

from warmboot.dump.interface import DumpError
from warmboot.dump.kernel import Kernel
from warmboot.dump.opening import open_dump
from warmboot.dump.source import note_facts
from warmboot.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from warmboot.dump.source import Source

__all__ = ["drgn_program"]

_EVERYTHING = (1 << 64) - 1
_LARGEST_SYMBOL = 1 << 20  # bytes, where the next symbol is far away
# The platforms of drgn that Linux dumps are of, by `uname -m`.
_PLATFORMS = {
    "x86_64": drgn.Architecture.X86_64,
    "aarch64": drgn.Architecture.AARCH64,
    "ppc64le": drgn.Architecture.PPC64,
    "s390x": drgn.Architecture.S390X,
}


def drgn_program(path: Path, images: Sequence[Path] = (), reader: str = "") -> tuple[drgn.Program, str]:
    """The program, and whose reader it has: "drgn" or "warmboot", unless `reader` says. `images` are files with debug
    information: vmlinux, modules.

    Symbols are those of the dump's own kallsyms where no debug information has them. Raises DumpError where neither
    reads the file.
    """
    program = _by_drgn(path) if reader != "warmboot" else None
    if program is None and reader == "drgn":
        raise DumpError(f"{visible(str(path))}: drgn cannot read it", hint="--reader warmboot")
    reader = "drgn" if program is not None else "warmboot"
    if program is None:
        program = _by_us(open_dump(path))
    _add_symbols(program, path)
    if images:
        try:
            program.load_debug_info([str(each) for each in images])
        except (drgn.MissingDebugInfoError, OSError) as error:
            raise DumpError(
                f"drgn: {error}", hint="give the vmlinux of the kernel that crashed, with symbols"
            ) from None
    return program, reader


def _by_drgn(path: Path) -> drgn.Program | None:
    program = drgn.Program()
    try:
        program.set_core_dump(str(path))
    except (ValueError, OSError, LookupError, drgn.FaultError):
        return None
    return program if program.flags & drgn.ProgramFlags.IS_LINUX_KERNEL else None


def _by_us(source: Source) -> drgn.Program:
    architecture = _PLATFORMS.get(source.machine)
    if architecture is None:
        raise DumpError(f"drgn: no platform for {source.machine}", hint=f"it has: {', '.join(_PLATFORMS)}")

    def read(address: int, count: int, _offset: int, _physical: bool) -> bytes:
        try:
            return source.physical(address, count)
        except DumpError as error:
            raise drgn.FaultError(str(error), address) from None

    program = drgn.Program(drgn.Platform(architecture))
    program.add_memory_segment(0, _EVERYTHING, read, physical=True)
    _, at, size = note_facts(source.notes)
    try:
        program.set_linux_kernel_custom(source.notes[at : at + size], is_live=False)
    except (ValueError, LookupError, OSError, drgn.FaultError) as error:
        raise DumpError(f"drgn: {error}", hint="the dump has no VMCOREINFO that drgn understands") from None
    return program


def _add_symbols(program: drgn.Program, path: Path) -> None:
    """The kernel's own symbols, asked after those of debug information."""
    try:
        symbols = Kernel(open_dump(path)).symbols
    except DumpError:
        return

    def made(name: str, address: int) -> drgn.Symbol:
        end = symbols.next_after(address)
        size = min(_LARGEST_SYMBOL, end - address) if end is not None else 1
        return drgn.Symbol(name, address, size, drgn.SymbolBinding.GLOBAL, drgn.SymbolKind.UNKNOWN)

    def find(_: drgn.Program, name: str | None, address: int | None, one: bool) -> list[drgn.Symbol]:
        if address is not None:
            found = symbols.lookup(address)
            end = symbols.next_after(address)
            if found is None or end is None or (name is not None and name != found.name):
                return []
            return [made(found.name, address - found.offset)]
        if name is None:
            return [made(each, at) for each, _, at in symbols]
        return [made(name, at) for at in symbols.addresses(name)[: 1 if one else None]]

    program.register_symbol_finder("kallsyms of the dump", find, enable_index=-1)

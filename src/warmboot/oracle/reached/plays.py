"""What is played to see what of a kernel it comes to: calls under each configuration, and jumps of either kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from warmboot.debian.firmware import efi_firmware
from warmboot.machines.guest import Guest
from warmboot.oracle.calls import busy
from warmboot.oracle.calls.file_matrix import FILE_CELLS, FileCell
from warmboot.oracle.calls.fuzz import Target, compare_answers, generated_file_loads
from warmboot.oracle.calls.matrix import CELLS, Cell
from warmboot.oracle.calls.recorder import record
from warmboot.oracle.witness.file_witness import FileWitness
from warmboot.oracle.witness.layouts import generate
from warmboot.oracle.witness.witness import Witness

__all__ = ["Counts", "Play", "plays"]

_MEMORY = 512 << 20  # bytes of a witness's guest
_JUMPS = 8  # images of each kind that a witness is asked for

_QUIET = "loglevel=1 no_timer_check"
# What no call can do that is played under the usual configurations.
_MORE = (FileCell("files, every message told", 'crashkernel=16M dyndbg="file *kexec* +p"', 1500),)
_PATIENCE = 120.0  # seconds for a boot that ends in a panic

Counts: TypeAlias = tuple[int, int]  # what was compared, and on how many the model disagrees


@dataclass(frozen=True, slots=True)
class Play:
    """One configuration: `run` takes a kernel, a seed and how many calls. It raises GuestError."""

    name: str
    run: Callable[[Path, int, int], Counts]


def plays() -> Iterator[Play]:
    """All that there are."""
    yield from (_calls(cell) for cell in CELLS)
    yield Play("kexec_load: two callers at once", _busy)
    yield from (_file_calls(cell) for cell in (*FILE_CELLS, *_MORE))
    yield Play("kexec_file_load: started by EFI firmware", _efi)
    yield Play("a panic with nothing loaded", _panic)
    yield Play("jumps, and crashes", _witness)
    yield Play("jumps, and crashes, of files", _file_witness)


def _calls(cell: Cell) -> Play:
    def run(kernel: Path, seed: int, calls: int) -> Counts:
        results = cell.run(kernel, seed, calls).results
        return len(results), sum(each is not None for each in results)

    return Play(f"kexec_load: {cell.name}", run)


def _file_calls(cell: FileCell) -> Play:
    def run(kernel: Path, seed: int, calls: int) -> Counts:
        results = [each for guest in cell.run(kernel, seed, calls) for each in guest.results]
        return len(results), sum(each is not None for each in results)

    return Play(f"kexec_file_load: {cell.name}", run)


def _efi(kernel: Path, seed: int, calls: int) -> Counts:
    """Calls on a machine whose firmware is EFI."""
    target = Target(kernel, append=f"crashkernel=16M {_QUIET}")
    operations = generated_file_loads(target, seed, calls)
    facts, answers = record(kernel, operations, append=target.append, contents=target.contents, firmware=efi_firmware())
    results, _ = compare_answers(facts, operations, answers, contents=target.contents)
    return len(results), sum(each is not None for each in results)


def _panic(kernel: Path, _seed: int, _calls: int) -> Counts:
    """A kernel that finds no first program; it looks for an image after it has said so, and then ends."""
    with Guest(kernel, [], memory=_MEMORY) as guest:
        panics = ["Kernel panic" in line for line in guest.console(_PATIENCE)]
    return 1, int(not any(panics))


def _busy(kernel: Path, _seed: int, _calls: int) -> Counts:
    found = busy.compare_callers(kernel)
    return len(found), sum(linux != model for _, linux, model in found)


def _witness(kernel: Path, seed: int, _calls: int) -> Counts:
    with Witness(kernel, memory=_MEMORY) as witness:
        found = [
            bool(witness.ask(generate(witness.facts, seed, number, crash=crash)).differences)
            for crash in (False, True)
            for number in range(1, _JUMPS + 1)
        ]
    return len(found), sum(found)


def _file_witness(kernel: Path, seed: int, _calls: int) -> Counts:
    with FileWitness(kernel) as witness:
        found = [
            bool(witness.ask(witness.layout(seed, number, crash=crash)).differences)
            for crash in (False, True)
            for number in range(1, _JUMPS + 1)
        ]
    return len(found), sum(found)

"""The stages of a rehearsed handover as text."""

from __future__ import annotations

from collections.abc import Iterable

from warmboot.handed_figures import (
    AnyHandedFigures,
    ArrivedFigures,
    FileLoadFigures,
    JumpFigures,
    PreservedPart,
    PreserveFigures,
)
from warmboot.report.text.words import size_text

__all__ = ["handed_stage_lines"]

_SHOWN = 12  # owners


def handed_stage_lines(figures: AnyHandedFigures) -> list[str]:
    """What a stage that passed shows."""
    match figures:
        case PreserveFigures():
            return _preserve(figures)
        case FileLoadFigures():
            return _load(figures)
        case JumpFigures():
            how = "it takes over" if figures.taken_over else "it takes nothing over"
            return [
                f"Linux {figures.release} is in user space {figures.seconds:.2f} s after the reboot call; {how}",
                *(f"  | {each}" for each in figures.said),
            ]
        case ArrivedFigures():
            return _arrived(figures)
        case retrieved:
            return [
                f"the script found what it had preserved, in {retrieved.seconds:.2f} s",
                *(f"  | {each}" for each in retrieved.last_words),
            ]


def _preserve(figures: PreserveFigures) -> list[str]:
    scratch = sum(each.size for each in figures.scratch)
    return [
        f"QEMU, {figures.machine}: Linux {figures.release} is in user space after {figures.seconds:.2f} s",
        f"the script took {figures.script_seconds:.2f} s; {size_text(figures.bytes)} are preserved:",
        *_parts(figures.parts),
        f"scratch memory for the next kernel: {size_text(scratch)} in {len(figures.scratch)} areas",
        *(f"not read: {each}" for each in figures.problems),
    ]


def _parts(parts: Iterable[PreservedPart]) -> list[str]:
    lines = [f"  {size_text(each.bytes):>10}  {each.name}{f' ({each.kind})' if each.kind else ''}" for each in parts]
    more = len(lines) - _SHOWN
    return lines if more <= 0 else [*lines[:_SHOWN], f"  and {more} more"]


def _load(figures: FileLoadFigures) -> list[str]:
    size = size_text(figures.kernel_bytes + figures.initrd_bytes)
    lines = [f"by kexec_file_load, in the guest: {figures.kernel} and its initrd, {size}"]
    wrong = [each for each in figures.segments if each.mem != each.model]
    if figures.model:
        lines.append(f"the model refuses it: {figures.model}")
    elif not figures.segments:
        lines.append("where its parts went, this kernel does not tell")
    elif wrong:
        lines += [f"the model has {_at(each.model)} at {each.mem:#x}" for each in wrong]
    else:
        lines.append(f"its {len(figures.segments)} segments lie where the model puts them")
    return [*lines, f"command line: {figures.command_line}"]


def _at(address: int | None) -> str:
    return "nothing" if address is None else f"{address:#x} for what is"


def _arrived(figures: ArrivedFigures) -> list[str]:
    lines = [f"{figures.same} of {figures.content} bytes are the same, page by page:"]
    for each in figures.parts[:_SHOWN]:
        if each.same == each.bytes:
            how = "the same"
        elif each.content:
            how = f"{each.bytes - each.same} bytes differ, first at {each.differs_at[0]:#x}"
        else:
            how = f"{each.bytes - each.same} bytes written by the kernel until it jumped"
        lines.append(f"  {size_text(each.bytes):>10}  {each.name}{f' ({each.kind})' if each.kind else ''}: {how}")
    if len(figures.parts) > _SHOWN:
        lines.append(f"  and {len(figures.parts) - _SHOWN} more")
    if figures.sessions:
        lines.append(f"sessions: {', '.join(figures.sessions)}")
    return lines

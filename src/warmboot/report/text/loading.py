"""What the stages of a load on this computer show."""

from __future__ import annotations

from collections.abc import Callable

from warmboot.memmap import Range
from warmboot.report.text.memory import memory_picture
from warmboot.report.text.stages import inspect_lines, segment_lines
from warmboot.report.text.terminal import size_text
from warmboot.stages import Stage

__all__ = ["LOADING_LINES"]


def _place(stage: Stage) -> list[str]:
    figures = stage.figures
    lines = [f"by {figures['call']}: {figures['why']}"]
    if "segments" in figures:
        parts = {each["name"]: [Range(each["mem"], each["mem"] + each["memsz"])] for each in figures["segments"]}
        if figures["crash_kernel"]:
            parts = {"crash kernel": [Range(start, end) for start, end in figures["crash_kernel"]]} | parts
        ram = [Range(start, end) for start, end in figures["ram"]]
        lines += [
            *segment_lines(figures["segments"]),
            *memory_picture(ram, parts),
            f"entry {figures['entry']:#x}, the kernel is entered at {figures['kernel_entry']:#x}",
        ]
    else:
        lines.append("the running kernel chooses where everything goes")
    return [*lines, f"command line: {figures['command_line'] or '(empty)'}"]


def _permit(stage: Stage) -> list[str]:
    figures = stage.figures
    return [f"all {len(figures['passed'])} checks of {figures['profile']} would pass on this computer"]


def _load(stage: Stage) -> list[str]:
    figures = stage.figures
    return [
        f"{size_text(figures['bytes'])} for {size_text(figures['memory'])} loaded by {figures['call']}"
        f" in {stage.seconds:.2f} s"
    ]


LOADING_LINES: dict[str, Callable[[Stage], list[str]]] = {
    "inspect": inspect_lines,
    "place": _place,
    "permit": _permit,
    "load": _load,
}

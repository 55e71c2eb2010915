"""The stages of a rehearsed crash as text."""

from __future__ import annotations

from warmboot.crash_figures import (
    AnyCrashFigures,
    CaptureFigures,
    CrashFigures,
    CrashLoadFigures,
    DumpFigures,
    NeedFigures,
    ProcessorFigures,
    ReserveFigures,
    SearchFigures,
)
from warmboot.report.text.words import size_text, table

__all__ = ["crash_stage_lines"]

_MIB = 1 << 20
_REGISTERS_A_LINE = 4


def crash_stage_lines(figures: AnyCrashFigures) -> list[str]:
    """The lines of a stage that passed."""
    match figures:
        case ReserveFigures():
            return _reserve_lines(figures)
        case CrashLoadFigures():
            return _crash_load_lines(figures)
        case CrashFigures():
            return _crash_lines(figures)
        case CaptureFigures():
            return _capture_lines(figures)
        case DumpFigures():
            return _dump_lines(figures)
        case SearchFigures():
            return _search_lines(figures)


def _reserve_lines(figures: ReserveFigures) -> list[str]:
    """Where the reservation is."""
    where = ", ".join(f"{each} ({size_text(each.size)})" for each in figures.reserved)
    return [
        f"{figures.machine}; Linux {figures.release}, user space after {figures.seconds:.1f} s",
        f"crashkernel={figures.crashkernel}: {where}",
        *(f"differs from the facts: {each}" for each in figures.differs_from_facts),
    ]


def _crash_load_lines(figures: CrashLoadFigures) -> list[str]:
    """What was loaded."""
    own = f", {size_text(figures.companion_bytes)} of it ours" if figures.companion_bytes else ""
    return [
        f"by {figures.call}: kernel {size_text(figures.kernel_bytes)}, initrd {size_text(figures.initrd_bytes)}{own}",
        f"command line: {figures.command_line}",
    ]


def _crash_lines(figures: CrashFigures) -> list[str]:
    """What the kernel died of."""
    who = f", by process {figures.process}" if figures.process else ""
    return [f"by {figures.by}{who}: {figures.message or '(no word on the console)'}"]


def _capture_lines(figures: CaptureFigures) -> list[str]:
    """The capture kernel's times and memory."""
    first = "" if figures.first_line_seconds is None else f"its first line {figures.first_line_seconds:.1f} s, "
    saved = "" if figures.saved_seconds is None else f", all saved {figures.saved_seconds:.1f} s"
    lines = [f"Linux {figures.release}: {first}user space {figures.user_space_seconds:.1f} s{saved} after the crash"]
    return lines if figures.need is None else [*lines, *_need_lines(figures.need)]


def _need_lines(need: NeedFigures) -> list[str]:
    return [
        f"memory: {_mib(need.peak)} of {_mib(need.reserved)} at its peak, {_mib(need.spare)} to spare:",
        f"  kernel {_mib(need.kernel)}, initrd {_mib(need.packed)} packed and {_mib(need.unpacked)} unpacked,"
        f" page tables {_mib(need.page_tables)},",
        f"  slab {_mib(need.slab)}, others {_mib(need.others)}, user space at most {_mib(need.user_peak)} more",
    ]


def _dump_lines(figures: DumpFigures) -> list[str]:
    """What the dump holds."""
    where = f" in {figures.path}" if figures.path else ", not kept"
    places = ", ".join(f"{each:#x}" for each in figures.pattern_at[:2])
    lines = [
        f"{size_text(figures.bytes)}{where}: {figures.pieces} pieces, {size_text(figures.ram)} of RAM, Linux"
        f" {figures.release}",
        f"found in it: {figures.panic or 'no panic message'}",
        f"  the process's pattern at {places or 'no address'}; the logged message: {_yes(found=figures.message)}",
    ]
    if figures.comparable is not None:
        same = "all of them" if figures.compared == figures.comparable else "all but those that differ"
        if figures.cleared:
            same = f"all but {figures.cleared} bytes from {figures.differs_at[0]:#x} on, which its EFI code cleared,"
        lines.append(f"  {size_text(figures.comparable)} outside the reservation compared: {same} as before the jump")
    for each in figures.processors:
        lines += _processor_lines(each)
    return lines


def _processor_lines(processor: ProcessorFigures) -> list[str]:
    told = f" in {processor.function}" if processor.function else ""
    told += f"; the values that it was given are in its {processor.known}" if processor.known else ""
    panicked = " panicked" if processor.panicked else ""
    registers = [f"{name}={value:#x}" for name, value in processor.registers.items() if value][: _REGISTERS_A_LINE * 2]
    rows = [registers[at : at + _REGISTERS_A_LINE] for at in range(0, len(registers), _REGISTERS_A_LINE)]
    return [
        f"  processor {processor.processor}{panicked}, process {processor.process}{told}",
        *("    " + "  ".join(row) for row in rows),
    ]


def _search_lines(figures: SearchFigures) -> list[str]:
    """The tries, what the need splits into, and the line."""
    rows = [("crashkernel=", "", "")]
    rows += [
        (
            f"{each.reserved // _MIB}M",
            "works" if each.works else "fails",
            f"{each.seconds:.1f} s {each.problem}".strip(),
        )
        for each in figures.trials
    ]
    lines = table(rows, right=(0,))
    lines.append(f"the smallest that works is {figures.smallest // _MIB} MiB, to {figures.step // _MIB} MiB exactly")
    if figures.need is not None:
        lines += _need_lines(figures.need)
    return [
        *lines,
        f"margin {figures.margin // _MIB} MiB: {figures.why_margin}",
        f"for the boot loader: {figures.crashkernel}",
    ]


def _mib(size: int) -> str:
    return f"{size / _MIB:.1f} MiB"


def _yes(*, found: bool) -> str:
    return "yes" if found else "no"

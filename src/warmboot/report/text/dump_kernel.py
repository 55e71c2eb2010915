"""What a dump tells of its kernel as text: tasks, modules and call chains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from warmboot.dump.arch.interface import How
from warmboot.report.text.words import size_text, table
from warmboot.visible import visible

if TYPE_CHECKING:
    from warmboot.dump.bt import Backtrace
    from warmboot.dump.devices import Devices
    from warmboot.dump.modules import Modules
    from warmboot.dump.tasks import Tasks

__all__ = ["backtrace_lines", "devices_lines", "modules_lines", "tasks_lines"]


def tasks_lines(answer: Tasks) -> Iterator[str]:
    """The answer of `warmboot dump tasks`: a thread a line; `>` where it ran at the time of the dump."""
    rows = [("", "PID", "TGID", "PPID", "CPU", "S", "TASK", "COMM")]
    for each in answer.tasks:
        numbers = (str(each.pid), str(each.tgid), str(each.ppid), str(each.cpu))
        comm = f"[{each.comm}]" if each.kernel_thread else each.comm
        rows.append((">" if each.current else "", *numbers, each.state, f"{each.address:#x}", comm))
    yield from table(rows, right=(1, 2, 3, 4))


def modules_lines(answer: Modules) -> Iterator[str]:
    """The answer of `warmboot dump modules`."""
    if not answer.modules:
        if not answer.problems:
            yield "no modules"
        return
    rows = [("MODULE", "SIZE", "STATE", "ADDRESS", "TAINTS")]
    rows += [
        (each.name, size_text(each.size), each.state, f"{each.address:#x}", each.taints) for each in answer.modules
    ]
    yield from table(rows, right=(1,))


def devices_lines(answer: Devices) -> Iterator[str]:
    """The answer of `warmboot dump devices`; `*` where a PCI device may do DMA."""
    if not answer.devices:
        if not answer.problems:
            yield "no devices on buses"
        return
    rows = [("", "BUS", "DEVICE", "DRIVER", "MODULE", "SHUT DOWN BY")]
    for each in answer.devices:
        names = (each.driver or "-", each.module or "-", each.shut_down_by or "nothing")
        driver, module, function = (visible(name, most=80) for name in names)
        dma = "*" if each.bus_master else ""
        rows.append((dma, visible(each.bus, most=80), visible(each.name, most=80), driver, module, function))
    yield from table(rows)


def backtrace_lines(each: Backtrace, *, stack: bool = True) -> Iterator[str]:
    """A call chain; "?" before what was only found on the stack. `stack`: where on the stack each was found, too."""
    where = "" if each.cpu is None else f"processor {each.cpu}{', which panicked' if each.panicked else ''}: "
    yield f"{where}pid {each.pid} {each.comm}" if each.comm else f"{where}task {each.task:#x}"
    for number, frame in enumerate(each.frames):
        symbol = f"{frame.symbol}+{frame.offset:#x}" if frame.symbol else f"{frame.ip:#x}"
        module = f" [{frame.module}]" if frame.module else ""
        at = f"{frame.sp:#018x}  " if stack else ""
        yield f"  #{number:<3} {at}{'? ' * (frame.how == How.SCAN)}{symbol}{module}"
    scanned = any(frame.how == How.SCAN for frame in each.frames)
    yield f"  by a scan of the stack: {each.ended}" if scanned else f"  {each.ended}"

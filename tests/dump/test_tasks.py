"""Tasks, modules and call chains of real dumps, beside what the kernels said of themselves before they crashed.

bench/drgn_peer.py compares every call chain with drgn's, by full debug information.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from shutil import copyfile

import pytest

from support.vmcores import MODULES, said, vmcore
from warmboot.dump.arch.interface import How
from warmboot.dump.bt import Backtraces
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.kernel import Kernel
from warmboot.dump.modules import ModuleSymbols, read_modules
from warmboot.dump.opening import open_dump
from warmboot.dump.save import SavePlan, save
from warmboot.dump.tasks import Task, read_tasks
from warmboot.formats.elf import PT_LOAD, header, program_headers

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]

SERIES = pytest.mark.parametrize("series", ["5.10", "6.1", "6.12", "7.2"])


@cache
def opened(series: str) -> tuple[Kernel, Backtraces, tuple[Task, ...]]:
    memory = ElfCore(vmcore(series))
    kernel = Kernel(memory)
    found = read_tasks(kernel)
    assert found.problems == ()
    return kernel, Backtraces(kernel, memory.notes), found.tasks


@SERIES
def test_every_task(series: str) -> None:
    """pid, name and state as /proc had them; workers come and go, and /proc adds to their names what they work on."""
    _, _, tasks = opened(series)
    ours = {task.pid: (task.comm, task.state) for task in tasks if task.pid}
    theirs = {}
    for line in said(series):
        if found := re.match(r"stat (\d+) \((.*)\) (\w) (\d+) ", line):
            theirs[int(found[1])] = (found[2][:15], found[3])  # /proc tells the whole name of a kernel thread
    passing = [pid for pid in {*ours, *theirs} if "kworker/" in (ours.get(pid) or theirs[pid])[0]]
    for pid in passing:
        name, longer = ours.pop(pid, ("", ""))[0], theirs.pop(pid, ("", ""))[0]
        assert not name or not longer or name.split("-")[0][:10] == longer.split("-")[0][:10]
    # Those that read /proc have ended since; busybox's applets start as /proc/self/exe.
    theirs = {pid: row for pid, row in theirs.items() if pid in ours or row[0] not in ("cat", "sed", "exe")}
    ours = {pid: row for pid, row in ours.items() if pid in theirs or row[1] != "Z"}
    awake = {pid for pid in ours if "R" in ours[pid][1] + theirs.get(pid, ("", ""))[1]}
    assert {pid: row[0] for pid, row in ours.items()} == {pid: row[0] for pid, row in theirs.items()}
    assert {pid: row for pid, row in ours.items() if pid not in awake} == {
        pid: row for pid, row in theirs.items() if pid not in awake
    }
    assert {"S", "I", "T", "Z", "R"} <= {task.state for task in tasks}


@SERIES
def test_processes_and_threads(series: str) -> None:
    _, _, tasks = opened(series)
    assert [task.comm for task in tasks if task.pid == 0] == ["swapper/0", "swapper/1"]
    [init] = [task for task in tasks if task.pid == 1]
    assert init.current
    assert not init.kernel_thread
    [one, two] = [task for task in tasks if task.comm == "python3.11" and task.state == "S"]
    assert one.tgid == two.tgid == one.pid != two.pid
    assert one.ppid == two.ppid == 1
    [kthreadd] = [task for task in tasks if task.pid == 2]
    assert kthreadd.kernel_thread
    assert sum(task.current for task in tasks) == 2
    assert len({task.address for task in tasks}) == len(tasks)


@SERIES
def test_modules(series: str) -> None:
    kernel, _, _ = opened(series)
    found = read_modules(kernel)
    assert found.problems == ()
    ours = [f"{each.name} {each.size} 0 - {each.state} {each.address:#x}" for each in found.modules]
    assert ours == [line for line in said(series) if line.split(" ")[0] in MODULES]
    assert len(ours) == len(MODULES)


@SERIES
def test_symbols_of_modules(series: str) -> None:
    kernel, _, _ = opened(series)
    symbols = ModuleSymbols(kernel)
    ours = {
        (address, name, module.name)
        for module in symbols.modules
        for address, name in symbols.table(module)
        if name and address
    }
    rows = [re.split(r"[ \t]", line) for line in said(series) if line.startswith("symbol ")]
    theirs = {(int(address, 16), name, module.strip("[]")) for _, address, _, name, module in rows}
    assert ours == theirs
    for address, name, module in ours:
        found = symbols.lookup(address)
        if found is not None:
            assert found.module == module
            assert found.offset or (address, found.name) in {(a, n) for a, n, _ in ours}, name


@SERIES
def test_the_panic(series: str) -> None:
    """The chain from the system call to the panic, whole and by ORC, and the other processor's."""
    _, backtraces, tasks = opened(series)
    [panicked] = [backtraces.processor(each) for each in backtraces.processors if each.panicked]
    assert (panicked.pid, panicked.comm, panicked.ended) == (1, "init", "user mode")
    names = [frame.symbol.removesuffix(".cold") for frame in panicked.frames]
    assert names[0] == "__crash_kexec"
    assert [name for name in names if name not in ("vpanic", "proc_reg_write", "")][1:] == [
        "panic",
        "sysrq_handle_crash",
        "__handle_sysrq",
        "write_sysrq_trigger",
        "vfs_write",
        "ksys_write",
        "do_syscall_64",
        "entry_SYSCALL_64_after_hwframe",
    ]
    assert [frame.how for frame in panicked.frames[:3]] == [How.REGISTERS, How.CALL, How.ORC]
    assert {frame.how for frame in panicked.frames[3:]} == {How.ORC}
    [other] = [backtraces.processor(each) for each in backtraces.processors if not each.panicked]
    running = {task.address: task for task in tasks}[other.task]  # idle, or a kernel thread with something to do
    assert other.ended == ("end of the stack" if running.kernel_thread or not running.pid else "user mode")
    assert ("do_idle" in [frame.symbol for frame in other.frames]) == (running.pid == 0)
    assert How.SCAN not in {frame.how for frame in other.frames}
    assert {panicked.task, other.task} == {task.address for task in tasks if task.current}


@SERIES
def test_every_stack_is_unwound_to_its_end(series: str) -> None:
    """Also of threads that sleep in a module's code: by the ORC tables of the module."""
    _, backtraces, tasks = opened(series)
    in_module = 0
    for task in tasks:
        found = backtraces.task(task.address)
        if task.state == "Z":
            assert (found.frames, found.ended) == ((), "its stack was given back: the task has ended")
            continue
        new = found.frames[-1].symbol.startswith("ret_from_fork")  # it never got to its program
        assert found.ended == ("end of the stack" if task.kernel_thread or new else "user mode"), (task, found)
        assert How.SCAN not in {frame.how for frame in found.frames}
        assert all(frame.symbol for frame in found.frames if frame.ip >> 63)
        in_module += any(frame.module == "pktgen" for frame in found.frames)
    assert in_module == 2


def test_a_dump_of_the_smallest_level_tells_the_same(tmp_path: Path) -> None:
    """kdump-compressed, without the memory of processes: what is told of the kernel is in what no level leaves out."""
    kernel, backtraces, tasks = opened("6.12")
    small = tmp_path / "small.kdump"
    plan = SavePlan((small,), level=31, format="kdump", codec="zstd", threads=1, force=False, elf_in_flattened=False)
    assert save(open_dump(vmcore("6.12")), plan, None).complete
    memory = open_dump(small)
    other = Kernel(memory)
    assert read_tasks(other).tasks == tasks
    assert read_modules(other) == read_modules(kernel)
    there = Backtraces(other, memory.notes)
    assert [there.task(task.address) for task in tasks] == [backtraces.task(task.address) for task in tasks]


def test_a_panic_in_an_interrupt() -> None:
    """From the stack of NMIs through the registers that the processor pushed, to the interrupted system call."""
    memory = open_dump(vmcore("6.12", nmi=True))
    backtraces = Backtraces(Kernel(memory), memory.notes)
    [panicked] = [backtraces.processor(each) for each in backtraces.processors if each.panicked]
    names = [frame.symbol for frame in panicked.frames]
    assert panicked.ended in ("user mode", "end of the stack")
    assert names[:5] == ["__crash_kexec", "panic", "nmi_panic", "unknown_nmi_error", "exc_nmi"]
    assert How.SCAN not in {frame.how for frame in panicked.frames}
    interrupted = next(
        n for n, frame in enumerate(panicked.frames) if frame.symbol in ("end_repeat_nmi", "asm_exc_nmi")
    )
    assert panicked.frames[interrupted + 1].sp - panicked.frames[interrupted].sp not in range(1 << 14)  # another stack
    for each in backtraces.processors:
        found = backtraces.processor(each)
        assert found.ended in ("user mode", "end of the stack")
        assert found.frames


def test_a_dump_that_is_cut_off(tmp_path: Path) -> None:
    """Its start has the kernel's image, by which symbols and types are known, and the notes have the registers."""
    cut = tmp_path / "cut"
    copyfile(vmcore("6.12"), cut)
    image, last = _places(cut)
    os.truncate(cut, last)  # the rest is as it falls: each dump has its tasks, stacks and page tables elsewhere
    memory = open_dump(cut)
    kernel = Kernel(memory)
    whole, backtraces, tasks = opened("6.12")
    assert len(kernel.symbols) == len(whole.symbols)
    found = read_tasks(kernel)
    assert len(found.tasks) < len(tasks)
    assert all("ends at offset" in each for each in found.problems)
    assert found.problems
    os.truncate(cut, image)  # also without the kernel's page tables
    memory = open_dump(cut)
    kernel = Kernel(memory)
    assert len(kernel.symbols) == len(whole.symbols)
    assert kernel.btf.struct("task_struct").size == whole.btf.struct("task_struct").size
    assert [task.comm for task in read_tasks(kernel).tasks] == ["swapper/0"]
    backtraces = Backtraces(kernel, memory.notes)
    chains = [backtraces.processor(each) for each in backtraces.processors]
    assert [chain.frames[0].symbol for chain in chains if chain.panicked] == ["__crash_kexec"]
    assert all(chain.frames[0].symbol for chain in chains)
    # The stack of the first processor's idle task is a part of the image.
    ends = [chain.ended for chain in chains if chain.ended != "end of the stack"]
    assert [each for each in ends if not re.search(r"0x[0-9a-f]+", each)] == []


def _places(path: Path) -> tuple[int, int]:
    """Offsets in the file: the end of the kernel's image, which comes first, and where the last task is."""
    with path.open("rb") as file:
        start = file.read(64 << 10)
    ehdr = header(start)
    assert ehdr
    table = start[ehdr.phoff : ehdr.phoff + ehdr.phnum * ehdr.phdr_size]
    loads = [phdr for phdr in program_headers(table, ehdr.bits) if phdr.type == PT_LOAD]
    tasks = [
        phdr.offset + task.address - phdr.vaddr
        for task in opened("6.12")[2]
        for phdr in loads
        if phdr.vaddr <= task.address < phdr.vaddr + phdr.filesz
    ]
    image = loads[0].offset + loads[0].filesz
    assert image < max(tasks)
    return image, max(tasks)

"""Dumps whose kernel data is damaged: what can be read is read, every search ends, nothing but DumpError is raised."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

import pytest

from support.vmcores import vmcore
from warmboot.dump.arch.interface import How
from warmboot.dump.bt import Backtraces
from warmboot.dump.devices import read_devices
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.interface import DumpError
from warmboot.dump.kallsyms import Kallsyms
from warmboot.dump.kernel import Kernel
from warmboot.dump.modules import Module, ModuleSymbols, read_modules
from warmboot.dump.tasks import Task, read_tasks
from warmboot.dump.vmcoreinfo import Vmcoreinfo
from warmboot.memmap.range_set import RangeSet

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]

PAGE = 4096
NO_REGISTERS = "no registers were saved of this processor"


class Damaged:
    """A dump's memory with other bytes at some virtual addresses, and without some pages."""

    def __init__(self, memory: ElfCore, patches: dict[int, bytes], missing: frozenset[int] = frozenset()) -> None:
        self.memory, self.patches, self.missing = memory, patches, missing
        self.machine: str = memory.machine
        self.ranges: RangeSet = memory.ranges
        self.vmcoreinfo: Vmcoreinfo = memory.vmcoreinfo

    def physical(self, address: int, size: int) -> bytes:
        return self.memory.physical(address, size)

    def virtual(self, address: int, size: int) -> bytes:
        if any(page in self.missing for page in range(address // PAGE, (address + size - 1) // PAGE + 1)):
            raise DumpError(f"{address:#x} is missing", hint="a test has left it out")
        data = bytearray(self.memory.virtual(address, size))
        for at, patch in self.patches.items():
            if address - len(patch) < at < address + size:
                for offset, byte in enumerate(patch, at - address):
                    if 0 <= offset < size:
                        data[offset] = byte
        return bytes(data)


@cache
def whole() -> tuple[ElfCore, Kernel]:
    memory = ElfCore(vmcore("6.12"))
    return memory, Kernel(memory)


@cache
def all_tasks() -> tuple[Task, ...]:
    return read_tasks(whole()[1]).tasks


@cache
def all_modules() -> tuple[Module, ...]:
    return read_modules(whole()[1]).modules


def damaged(patches: dict[int, bytes], missing: frozenset[int] = frozenset()) -> Kernel:
    """The kernel with its memory damaged; symbols and types are those that were read before."""
    memory, kernel = whole()
    other = Kernel(Damaged(memory, patches, missing))
    other.__dict__.update(symbols=kernel.symbols, btf=kernel.btf)
    return other


@pytest.mark.parametrize("to", ["itself", "nowhere", "the third"])
def test_a_broken_list_is_read_from_both_ends(to: str) -> None:
    _, kernel = whole()
    tasks = all_tasks()
    at = kernel.btf.struct("task_struct").offset("tasks")
    leaders = [task.address for task in tasks if task.pid == task.tgid and task.pid]
    middle = leaders[len(leaders) // 2] + at
    target = {"itself": middle, "nowhere": 0xDEAD000000000100, "the third": leaders[2] + at}[to]
    found = read_tasks(damaged({middle: target.to_bytes(8, "little")}))
    assert {task.address for task in found.tasks} == {task.address for task in tasks}
    [problem] = found.problems
    assert "is broken after" in problem


def test_a_task_that_is_missing_is_told() -> None:
    tasks = all_tasks()
    gone = next(task for task in tasks if task.comm == "kthreadd")
    found = read_tasks(damaged({}, frozenset({gone.address // PAGE})))
    assert found.problems
    assert len(tasks) - len(found.tasks) < 6  # what shares its page is missing, too
    assert gone.pid not in {task.pid for task in found.tasks}


def places(kernel: Kernel, dice: random.Random) -> Iterator[int]:
    """Addresses that matter."""
    tasks = all_tasks()
    modules = all_modules()
    symbols = kernel.symbols
    task = kernel.btf.struct("task_struct")
    panicked = next(each for each in tasks if each.pid == 1)
    stack = kernel.number(panicked.address + task.offset("stack"))
    while True:
        yield dice.choice(tasks).address + dice.choice([dice.randrange(task.size), *range(2200, 2700, 8)])
        yield dice.choice(modules).record + dice.choice([*range(0, 640, 8)])
        yield stack + dice.randrange(0x3800, 0x4000, 8)
        yield symbols.needed(dice.choice(["runqueues", "crash_notes", "__per_cpu_offset", "panic_cpu", "modules"]))
        yield symbols.needed("__start_orc_unwind") + dice.randrange(1 << 20)
        yield symbols.needed("__start_orc_unwind_ip") + dice.randrange(1 << 20)
        yield symbols.needed("__cpu_present_mask")


@pytest.mark.parametrize("seed", range(24))
def test_whatever_is_damaged(seed: int) -> None:
    memory, kernel = whole()
    dice = random.Random(seed)
    where = places(kernel, dice)
    patches = {}
    for _ in range(dice.choice([1, 3, 30])):
        of_the_kernel = dice.choice(all_tasks()).address + dice.randrange(0, 4096, 8)
        value = dice.choice([0, dice.getrandbits(64), of_the_kernel, (1 << 64) - 1, next(where)])
        patches[next(where)] = value.to_bytes(8, "little")
    broken = damaged(patches)
    backtraces = Backtraces(broken, memory.notes)
    with suppress(DumpError):
        for task in read_tasks(broken).tasks[:: dice.choice([3, 7])]:
            backtraces.task(task.address)
    with suppress(DumpError):
        for processor in backtraces.processors:
            assert len(backtraces.processor(processor).frames) < 700
    symbols = ModuleSymbols(broken)
    for module in symbols.modules:
        symbols.lookup(module.address + 100)


@pytest.mark.parametrize("seed", range(12))
def test_devices_that_are_damaged(seed: int) -> None:
    """Those that can be read are told as they are, and whatever else it says of them."""
    _, kernel = whole()
    dice = random.Random(seed)
    head = kernel.variable("devices_kset") + kernel.btf.struct("kset").offset("list")
    entries = [head, *kernel.walk(head)]
    values = [0, 8, (1 << 64) - 1, dice.getrandbits(64), dice.choice(entries), entries[0]]
    patches = {
        dice.choice(entries) + dice.randrange(-64, 600) // 8 * 8: dice.choice(values).to_bytes(8, "little")
        for _ in range(dice.choice([1, 3, 30]))
    }
    right = read_devices(kernel)
    assert right.problems == ()
    found = read_devices(damaged(patches))
    assert found.problems or len(found.devices) <= len(right.devices)
    assert len(set(found.devices) & set(right.devices)) >= len(right.devices) - 2 * len(patches) or found.problems


def test_a_stack_of_noise_is_scanned() -> None:
    _, kernel = whole()
    [init] = [task for task in all_tasks() if task.pid == 1]
    stack = kernel.number(init.address + kernel.btf.struct("task_struct").offset("stack"))
    text = kernel.symbols.needed("vfs_write") + 5
    noise = b"".join(
        random.Random(1).choice([text, stack + 0x3F00, 7]).to_bytes(8, "little") for _ in range(0x600 // 8)
    )
    backtraces = Backtraces(damaged({stack + 0x3A00: noise}), b"")
    found = backtraces.task(init.address)
    assert found.frames
    assert found.ended


def test_damaged_tables_are_told() -> None:
    memory, kernel = whole()
    symbols = kernel.symbols
    at = symbols.needed("__start_BTF")
    with pytest.raises(DumpError, match="BTF: it begins with"):
        _ = Kernel(Damaged(memory, {at: bytes(8)})).btf
    with pytest.raises(DumpError):
        _ = Kernel(Damaged(memory, {}, frozenset({at // PAGE + 7}))).btf
    names = memory.vmcoreinfo.symbol("kallsyms_names") or 0
    with pytest.raises(DumpError, match="kallsyms: "):
        Kernel(Damaged(memory, {}, frozenset({names // PAGE + 3}))).symbols.needed("init_task")
    count = memory.vmcoreinfo.symbol("kallsyms_num_syms") or 0
    with pytest.raises(DumpError, match="kallsyms: "):
        _ = Kernel(Damaged(memory, {count: b"\xff\xff\xff\xff"})).symbols


def test_registers_of_the_files_notes() -> None:
    """As in a dump that QEMU makes of a guest: the kernel has saved none."""
    memory, kernel = whole()
    none = damaged({kernel.symbols.needed("crash_notes"): bytes(8)})
    there, here = Backtraces(none, memory.notes), Backtraces(kernel, memory.notes)
    assert [there.processor(each) for each in there.processors] == [here.processor(each) for each in here.processors]
    without = Backtraces(none)
    assert {without.processor(each).ended for each in without.processors} == {
        "no registers were saved of this processor"
    }


def test_without_orc_the_stack_is_scanned() -> None:
    memory, kernel = whole()
    other = damaged({})
    other.__dict__["symbols"] = WithoutOrc(kernel.symbols)
    backtraces = Backtraces(other, memory.notes)
    [panicked] = [backtraces.processor(each) for each in backtraces.processors if each.panicked]
    assert "no symbol __start_orc_unwind" in panicked.ended
    assert {frame.how for frame in panicked.frames[1:]} == {How.SCAN}
    names = [frame.symbol for frame in panicked.frames]
    wanted = ["__crash_kexec", "panic", "sysrq_handle_crash", "write_sysrq_trigger", "ksys_write", "do_syscall_64"]
    scanned = iter(names)  # what earlier calls have left on the stack lies between them
    assert [each for each in wanted if each in scanned] == wanted


class WithoutOrc(Kallsyms):
    """The symbols of a kernel that is built without ORC."""

    def __init__(self, whole: Kallsyms) -> None:
        self.__dict__.update(whole.__dict__)

    def address(self, name: str) -> int | None:
        return None if "orc_unwind" in name else super().address(name)

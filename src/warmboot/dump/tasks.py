"""Every task of the kernel that a dump is of: processes with their threads, and the idle task of each processor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError

if TYPE_CHECKING:
    from warmboot.dump.btf_types import Struct
    from warmboot.dump.kernel import Kernel, Record

__all__ = ["Task", "Tasks", "read_tasks", "task_at"]

_MOST = 1 << 19  # tasks that are told, in some 150 MiB
# include/linux/sched.h, as they are since 4.14: TASK_REPORT, TASK_UNINTERRUPTIBLE with TASK_NOLOAD, TASK_RTLOCK_WAIT.
_MOST_PROBLEMS = 100  # that are told
_REPORT, _IDLE, _RTLOCK_WAIT, _UNINTERRUPTIBLE = 0x7F, 0x402, 0x1000, 0x2
_LETTERS = "RSDTtXZP"  # task_index_to_char(): none, then bit 0 of TASK_REPORT and so on


@dataclass(frozen=True, slots=True)
class Task:
    """A thread; `pid` is its own number, `tgid` its process's. `address` is that of struct task_struct, virtual.

    `state` is the letter that /proc/PID/stat shows; `cpu` the processor that it ran on last; `current` whether it ran
    there at the time of the dump.
    """

    pid: int
    tgid: int
    ppid: int
    comm: str
    state: str
    cpu: int
    current: bool
    kernel_thread: bool
    address: int


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks, in the order of the kernel's list with each process's threads together; what could not be read."""

    tasks: tuple[Task, ...]
    problems: tuple[str, ...]


def read_tasks(kernel: Kernel) -> Tasks:
    """Every task. Raises DumpError where there is no list to begin at; damage further on is a problem."""
    struct = kernel.btf.struct("task_struct")
    signal = kernel.btf.struct("signal_struct")
    problems: list[str] = []
    current, idle = _running(kernel, problems)
    found: dict[int, Task] = {}

    def add(address: int) -> Record | None:
        if address in found:
            return None
        if len(found) >= _MOST:
            raise DumpError(f"more than {_MOST} tasks: the others are left out", hint="the list may be damaged")
        try:
            record = kernel.record(struct, address)
            found[address] = _task(kernel, record, address in current)
            return record
        except DumpError as error:
            if len(problems) < _MOST_PROBLEMS:
                problems.append(f"task at {address:#x}: {error}")
            return None

    head = kernel.symbols.needed("init_task")
    tasks_at, node_at = struct.offset("tasks"), struct.offset("thread_node")
    threads_at = signal.offset("thread_head")
    try:
        for address in (*idle, head):
            add(address)
        for entry in _entries(kernel, head + tasks_at, problems):
            leader = add(entry - tasks_at)
            if leader is not None:
                for node in _entries(kernel, leader.number("signal") + threads_at, problems):
                    add(node - node_at)
    except DumpError as error:
        problems.append(str(error))
    return Tasks(tuple(found.values()), tuple(problems))


def task_at(kernel: Kernel, address: int) -> Task:
    """The task whose struct task_struct is there. Raises DumpError."""
    return _task(kernel, kernel.record("task_struct", address), False)


def _entries(kernel: Kernel, head: int, problems: list[str]) -> Iterator[int]:
    try:
        yield from kernel.walk(head)
    except DumpError as error:
        if len(problems) < _MOST_PROBLEMS:
            problems.append(str(error))


def _running(kernel: Kernel, problems: list[str]) -> tuple[set[int], list[int]]:
    """The tasks that ran, and the idle tasks, by struct rq of each processor."""
    current, idle = set[int](), list[int]()
    try:
        rq: Struct = kernel.btf.struct("rq")
        at = kernel.symbols.needed("runqueues")
        for offset in kernel.processors.values():
            current.add(kernel.number(at + offset + rq.offset("curr")))
            idle.append(kernel.number(at + offset + rq.offset("idle")))
    except DumpError as error:
        problems.append(f"what ran on each processor: {error}")
    return current, idle


def _task(kernel: Kernel, record: Record, current: bool) -> Task:
    parent = record.number("real_parent")
    tgid_at = record.struct.offset("tgid")
    try:
        ppid = kernel.number(parent + tgid_at, 4, signed=True)
    except DumpError:
        ppid = 0
    state = record.number("__state" if "__state" in record else "state")  # 5.14 renamed it
    return Task(
        pid=record.number("pid"),
        tgid=record.number("tgid"),
        ppid=ppid,
        comm=record.text("comm"),
        state=_letter(state, record.number("exit_state")),
        cpu=record.number("thread_info.cpu" if "thread_info.cpu" in record else "cpu"),  # 5.16 moved it
        current=current,
        kernel_thread=record.number("flags") & 0x00200000 != 0,  # PF_KTHREAD
        address=record.address,
    )


def _letter(state: int, exit_state: int) -> str:
    """task_state_to_char()."""
    if state & _IDLE == _IDLE:
        return "I"
    if state & _RTLOCK_WAIT:
        state |= _UNINTERRUPTIBLE
    return _LETTERS[((state | exit_state) & _REPORT).bit_length()]

"""What drgn says with full debug information beside what the dump itself tells: tasks, call chains, modules.

    python bench/drgn_peer.py [SERIES]...     (6.1, 6.12, 7.2)

For each series it takes the tests' dumps of Debian's kernel, one panicked by sysrq, one by an NMI, fetches the -dbg
package of that kernel (300 MiB each) into the cache, and prints a table. Exit status 1 where anything differs. It needs
drgn: pip install drgn.
"""

from __future__ import annotations

import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import drgn
from drgn.helpers.linux.module import for_each_module
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.sched import task_state_to_char

from support.kernels_debug import vmlinux
from support.vmcores import vmcore
from warmboot.dump.bt import Backtrace, Backtraces
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.kernel import Kernel
from warmboot.dump.modules import read_modules
from warmboot.dump.tasks import read_tasks

Facts = dict[str, Any]
STRUCTS = [
    *(
        "task_struct",
        "signal_struct",
        "mm_struct",
        "vm_area_struct",
        "rq",
        "cfs_rq",
        "module",
        "mod_kallsyms",
        "page",
        "folio",
        "zone",
    ),
    *(
        "pglist_data",
        "file",
        "inode",
        "dentry",
        "super_block",
        "sk_buff",
        "net_device",
        "net",
        "sock",
        "tcp_sock",
        "device",
        "bio",
    ),
    *(
        "request_queue",
        "gendisk",
        "pt_regs",
        "list_head",
        "printk_ringbuffer",
        "prb_desc",
        "workqueue_struct",
        "timer_list",
    ),
    *("hrtimer", "irq_desc", "cred", "nsproxy", "cgroup", "kobject", "orc_entry"),
]


def theirs(core: Path, image: Path) -> Facts:
    """Drgn's answers."""
    program = drgn.Program()
    program.set_core_dump(str(core))
    program.load_debug_info([str(image)])
    tasks = list(for_each_task(program, idle=True))
    return {
        "tasks": sorted(
            (task.pid.value_(), task.tgid.value_(), task.comm.string_().decode(), task_state_to_char(task))
            for task in tasks
        ),
        "modules": sorted(module.name.string_().decode() for module in for_each_module(program)),
        "panic": _chain(program.crashed_thread().stack_trace()),
        "types": {name: _members(program.type(f"struct {name}")) for name in STRUCTS},
        "stacks": {
            task.value_(): _chain(program.stack_trace(task))
            for task in tasks
            if task.stack  # not of what has ended
        },
    }


def _members(kind: drgn.Type) -> tuple[int, list[tuple[str, int, int]]]:
    """Size in bytes; name, bit offset and size of bit field of each member, anonymous structures opened."""
    found: dict[str, tuple[int, int]] = {}

    def add(of: drgn.Type, base: int) -> None:
        for member in of.members or ():
            if member.name is None:
                add(member.type, base + member.bit_offset)
            else:
                found.setdefault(member.name, (base + member.bit_offset, member.bit_field_size or 0))

    add(kind, 0)
    return kind.size or 0, sorted((name, *where) for name, where in found.items())


def _chain(trace: drgn.StackTrace) -> list[int]:
    """The address in each function that is not inlined, without those of programs."""
    return [frame.pc for frame in trace if not frame.is_inline and frame.pc >> 63]


def ours(core: Path) -> tuple[Facts, float]:
    """Our answers, and the seconds that they took."""
    began = time.perf_counter()
    memory = ElfCore(core)
    kernel = Kernel(memory)
    backtraces = Backtraces(kernel, memory.notes)
    tasks = read_tasks(kernel).tasks
    [panic] = [backtraces.processor(each) for each in backtraces.processors if each.panicked]
    facts = {
        "tasks": sorted((task.pid, task.tgid, task.comm, task.state) for task in tasks),
        "modules": sorted(module.name for module in read_modules(kernel).modules),
        "panic": _ips(panic),
        "types": {
            name: (found.size, sorted((each.name, each.bit_offset, each.bit_size) for each in found.members.values()))
            for name in STRUCTS
            for found in [kernel.btf.struct(name)]
        },
        "stacks": {task.address: _ips(backtraces.task(task.address)) for task in tasks},
    }
    return facts, time.perf_counter() - began


def _ips(backtrace: Backtrace) -> list[int]:
    return [frame.ip for frame in backtrace.frames if frame.ip >> 63]


def main(series: list[str]) -> int:
    """Compare; the exit status."""
    different = 0
    for each, nmi in product(series or ["6.1", "6.12", "7.2"], (False, True)):
        core = vmcore(each, nmi=nmi)
        mine, seconds = ours(core)
        began = time.perf_counter()
        other = theirs(core, vmlinux(each))
        other_seconds = time.perf_counter() - began
        how = "an NMI" if nmi else "sysrq"
        print(f"{each}, {how}: ours {seconds:.1f} s, drgn with debug information {other_seconds:.1f} s")
        for what in ("tasks", "modules", "types", "panic"):
            same = mine[what] == other[what]
            print(f"  {what:8} {len(mine[what]):4} {len(other[what]):4}  {'same' if same else 'different'}")
            different += not same
            if what == "types" and not same:
                unlike = [name for name in STRUCTS if mine[what][name] != other[what][name]]
                print(f"    {unlike}")
            elif not same:
                print(f"    ours {mine[what]}\n    drgn {other[what]}")
        both = [address for address in mine["stacks"] if address in other["stacks"]]
        unlike = [address for address in both if mine["stacks"][address] != other["stacks"][address]]
        print(f"  {'stacks':8} {len(both):4} {len(both) - len(unlike):4}  {'different' if unlike else 'same'}")
        different += bool(unlike)
        for address in unlike[:4]:
            print(f"    ours {mine['stacks'][address]}\n    drgn {other['stacks'][address]}")
    return 1 if different else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

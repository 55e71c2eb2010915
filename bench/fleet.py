"""How many machines a second `warmboot check` answers for, and in how much memory.

    python bench/fleet.py [--machines N] [--kernel FILE] [--write FILE]

The fleet is made, the same each time: laptops whose EFI map is in many pieces, small guests of clouds, servers with
nodes of memory up to 2 TiB, guests of a few hundred MiB, control domains of Xen, and aarch64. Reading the facts is
counted; starting Python is not. Memory is the most that any one process had (VmHWM), the kernel's file included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from support.figures import Figures, figures_option
from warmboot.debian import kernel
from warmboot.live.kernel_config import DECIDING

_MIB, _GIB = 1 << 20, 1 << 30
_WANTED = 2000  # machines a second on one core
_INITRD = 200 * _MIB
_RELEASES = ("5.10.0-32-amd64", "6.1.0-28-amd64", "6.12.48+deb13-amd64", "6.8.0-45-generic", "5.14.0-503.el9.x86_64")

# In a process of its own: the answer's line, seconds, and the most memory of it and of its largest worker, in KiB.
_RUN = """
import json, resource, sys, time
from pathlib import Path
from warmboot.fleet.check import check
from warmboot.fleet.documents import documents
from warmboot.fleet.local import Local
from warmboot.fleet.plan import Plan
from warmboot.placement.command_line import CommandLineRequest
kernel, initrd, fleet, jobs = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
plan = Plan.of(kernel, [initrd], command_line=CommandLineRequest("quiet"))
plan.parts
began, spent = time.monotonic(), time.process_time()
answer = check(plan, documents([fleet]), Local(jobs, print), each=lambda _: None, progress=lambda _: None)
seconds, spent = time.monotonic() - began, time.process_time() - spent
peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line[:6] == "VmHWM:")
worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
children = resource.getrusage(resource.RUSAGE_CHILDREN)
spent += children.ru_utime + children.ru_stime
print(json.dumps([seconds, spent, int(peak), worker, answer.machines, answer.refuses, answer.unusable,
    [[each.machines, each.rule, each.subject] for each in answer.groups]]))
"""


def facts(number: int) -> dict[str, Any]:
    """The facts of the machine of that number."""
    random = Random(number)
    kind = random.choices((_cloud, _laptop, _server, _tiny, _xen, _arm64), weights=(50, 20, 15, 10, 2, 3))[0]
    made = kind(random)
    return {"hostname": f"{kind.__name__[1:]}{number}", **made}


def _machine(random: Random, iomem: str, memory: int, **more: object) -> dict[str, Any]:
    return {
        "release": random.choice(_RELEASES),
        "machine": "x86_64",
        "cmdline": "BOOT_IMAGE=/boot/vmlinuz root=UUID=5e1f-11aa ro quiet",
        "iomem": iomem,
        "page_size": 4096,
        "totalram_pages": memory // 4096 * 97 // 100,
        "lockdown": "[none] integrity confidentiality",
        "kexec_crash_size": "0",
        "la57": False,
        "cpus": 2,
        "kexec_load": "yes",
        "kexec_file_load": "yes",
        "kexec_known_by": "CONFIG_KEXEC and CONFIG_KEXEC_FILE in /boot/config",
        "efi": False,
        "secure_boot": False,
        "signatures_required": False,
        "physical_address_bits": 46,
        "kernel_config": {each: "y" if each in ("CONFIG_KEXEC", "CONFIG_KEXEC_FILE") else "n" for each in DECIDING},
        **more,
    }


def _line(start: int, end: int, name: str, depth: int = 0) -> str:
    return f"{'  ' * depth}{start:08x}-{end - 1:08x} : {name}\n"


_BELOW = (
    _line(0, 0x1000, "Reserved")
    + _line(0x1000, 0x9FC00, "System RAM")
    + _line(0x9FC00, 0xA0000, "Reserved")
    + _line(0xF0000, 0x100000, "Reserved")
    + _line(0xF0000, 0x100000, "System ROM", 1)
)
_DEVICES = (
    "".join(
        _line(0xE0000000 + at * 0x100000, 0xE0000000 + (at + 1) * 0x100000, f"0000:00:{at:02x}.0") for at in range(12)
    )
    + _line(0xFEC00000, 0xFEC00400, "IOAPIC 0")
    + _line(0xFEE00000, 0xFEE01000, "Local APIC")
)


def _image(at: int) -> str:
    """The running kernel, and a crash reservation above it."""
    return (
        _line(at, at + 0x1200000, "Kernel code", 1)
        + _line(at + 0x1200000, at + 0x1C00000, "Kernel rodata", 1)
        + _line(at + 0x1C00000, at + 0x2000000, "Kernel data", 1)
        + _line(at + 0x2600000, at + 0x2C00000, "Kernel bss", 1)
    )


def _plain(random: Random, memory: int) -> str:
    below = min(memory, 0xBFFE0000 // 4096 * 4096)
    at = min(0x1000000 * random.randrange(1, 8), below - 0x4000000)
    text = _BELOW + _line(0x100000, below, "System RAM") + _image(at) + _line(below, below + 0x20000, "Reserved")
    text += _DEVICES
    return text + (_line(4 * _GIB, 4 * _GIB + memory - below, "System RAM") if memory > below else "")


def _cloud(random: Random) -> dict[str, Any]:
    memory = random.choice((1, 2, 2, 4, 4, 8, 16)) * _GIB
    return _machine(random, _plain(random, memory), memory)


def _tiny(random: Random) -> dict[str, Any]:
    memory = random.choice((256, 384, 512, 512)) * _MIB
    return _machine(random, _plain(random, memory), memory)


def _laptop(random: Random) -> dict[str, Any]:
    """EFI, whose memory below 4 GiB is in dozens of pieces."""
    memory = random.choice((8, 16, 16, 32)) * _GIB
    parts, at = [_BELOW], 0x100000
    pieces = random.randrange(12, 48)
    for number in range(pieces):
        size = random.randrange(1, 0x7000) * 4096
        if number == 1:
            size = random.randrange(0x8000, 0x30000) * 4096
        kind = random.choice(("ACPI Tables", "ACPI Non-volatile Storage", "Reserved", "Reserved"))
        parts.append(_line(at, at + size, "System RAM"))
        if number == 1:
            parts.append(_image(at // 0x200000 * 0x200000 + 0x200000))
        at += size
        gap = random.randrange(1, 0x200) * 4096
        parts.append(_line(at, at + gap, kind))
        at += gap
    top = 4 * _GIB + memory
    text = "".join(parts) + _DEVICES + _line(4 * _GIB, top, "System RAM") + _line(top, top + 0x100000, "Reserved")
    locked = random.random() < 0.1
    return _machine(
        random,
        text,
        memory,
        cpus=16,
        rsdp=0x7FFFE014,
        efi=True,
        secure_boot=locked,
        signatures_required=locked,
        lockdown="none [integrity] confidentiality" if locked else "[none] integrity confidentiality",
        physical_address_bits=39,
    )


def _server(random: Random) -> dict[str, Any]:
    """Nodes of memory, each a range, and a crash reservation."""
    nodes = random.choice((2, 4, 8))
    each = random.choice((64, 128, 256)) * _GIB
    start, crash = 4 * _GIB, random.choice((256, 512)) * _MIB
    below = 0x70000000
    text = _BELOW + _line(0x100000, below, "System RAM") + _image(0x2000000)
    text += _line(below - crash, below, "Crash kernel", 1) + _line(below, below + 0x8000000, "Reserved") + _DEVICES
    table = []
    for node in range(nodes):
        text += _line(start, start + each, "System RAM") + _line(start + each, start + each + 0x1000000, "Reserved")
        cpus = list(range(node * 32, node * 32 + 32))
        memory = [[start, start + each]] if node else [[0x100000, below], [start, start + each]]
        table.append({"node": node, "cpus": cpus, "memory": memory})
        start += each + 0x1000000
    return _machine(
        random,
        text,
        nodes * each,
        cpus=nodes * 32,
        numa_nodes=table,
        la57=nodes == 8,
        kexec_crash_size=str(crash),
        efi=True,
        rsdp=0x6FFFE014,
        physical_address_bits=52,
    )


def _xen(random: Random) -> dict[str, Any]:
    """A control domain, which sees the hypervisor's memory as not usable."""
    memory = 4 * _GIB
    text = _plain(random, memory) + _line(0x200000000, 0x840000000, "Unusable memory")
    return _machine(random, text, memory, hypervisor="xen PV control_d")


def _arm64(random: Random) -> dict[str, Any]:
    memory = random.choice((4, 64)) * _GIB
    return _machine(random, _line(0x40000000, 0x40000000 + memory, "System RAM"), memory, machine="aarch64")


def lines(machines: int) -> Iterator[str]:
    """A line a machine."""
    for number in range(machines):
        yield json.dumps(facts(number)) + "\n"


def _measure(
    image: str, initrd: Path, fleet: Path, jobs: int
) -> tuple[float, float, int, int, int, int, int, list[Any]]:
    words = [sys.executable, "-c", _RUN, image, str(initrd), str(fleet), str(jobs)]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True)
    found: tuple[float, float, int, int, int, int, int, list[Any]] = tuple(json.loads(done.stdout))
    return found


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=100000, help="of the largest fleet")
    parser.add_argument("--kernel", type=Path, help="a kernel (default: Debian's 6.12)")
    parser.add_argument("--write", type=Path, help="write the fleet there, as JSON Lines, and end")
    figures_option(parser)
    args = parser.parse_args()
    figures = Figures()
    if args.write:
        with args.write.open("w") as file:
            file.writelines(lines(args.machines))
        return 0
    image = str(args.kernel or kernel("6.12"))
    rates: dict[int, float] = {}
    best = 0.0  # of the largest fleet, with one worker
    with tempfile.TemporaryDirectory() as folder:
        initrd = Path(folder) / "initrd"
        with initrd.open("wb") as file:
            file.truncate(_INITRD)
        fleet = Path(folder) / "fleet.jsonl"
        print(
            "machines | workers | seconds | a second | a second of processor time | MiB here | MiB of a worker | refuse"
        )
        for machines in sorted({min(each, args.machines) for each in (1000, 10000, args.machines)}):
            began = time.monotonic()
            with fleet.open("w") as file:
                file.writelines(lines(machines))
            made = time.monotonic() - began
            for jobs in (1, 2):
                seconds, spent, here, worker, count, refuse, unusable, groups = _measure(image, initrd, fleet, jobs)
                rates[jobs], each = count / seconds, count / spent
                best = each if jobs == 1 else best
                if jobs == 1:
                    name = "check, machines for a second of processor time"
                    about: dict[str, Any] = {"amount": count, "of": "machines"}
                    figures.add(name, each, "a second", more=True, wanted=_WANTED, **about)
                    figures.add("check, memory", (here + worker) / 1024, "MiB", **about)
                print(
                    f"{count:,} | {jobs} | {seconds:.1f} | {count / seconds:,.0f} | {each:,.0f}"
                    f" | {here >> 10} | {worker >> 10}"
                    f" | {refuse:,}" + (f" ({unusable} not usable)" if unusable else "")
                )
            print(f"  made in {made:.1f} s, {fleet.stat().st_size >> 20} MiB", file=sys.stderr)
    for many, rule, subject in groups:
        print(f"  {many:,} refuse: {subject} ({rule})")
    figures.write(args.json)
    busy = os.getloadavg()[0]
    print(f"{best:,.0f} machines for a second of processor time, {best / _WANTED:.2f} x the {_WANTED:,} wanted;")
    print(f"{rates[2] / rates[1]:.2f} x as many with two workers as with one; {busy:.1f} processes ran at the end")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A real crash: the crash kernel that we loaded by kexec_load boots, and its dump holds the memory of the first."""

from __future__ import annotations

import ast
import gzip
from typing import Any

import pytest

from support.journey import Journey, kernel_file, travel
from warmboot.debian import cpio
from warmboot.oracle.guest.root import root_layer

pytestmark = pytest.mark.needs_qemu

_MEMORY, _RESERVED = 1 << 30, 192 << 20  # bytes
_FIRST_LINE = "first-kernel"  # on the first kernel's command line, which the boot loader has left in low memory

_LOAD = """\
banner=$(grep -w linux_banner /proc/kallsyms | cut -d" " -f1)
added="$line nr_cpus=1 reset_devices banner=$banner -- for-init"
run {tool} -p -c {options} --initrd=/stage/crash --append="$added" /stage/kernel
run cat /sys/kernel/kexec_crash_loaded
{then}
echo c >/proc/sysrq-trigger
"""

# The crash kernel's first program; it knows only the ELF format.
_READER = b"""#!/usr/bin/python3.11 -SIB
import ctypes, os, struct
libc = ctypes.CDLL(None)
libc.mount(b"proc", b"/proc", b"proc", 0, None)
print("@@ 1 up release=" + os.uname().release, flush=True)
core = open("/proc/vmcore", "rb")
head = core.read(64)
count = struct.unpack_from("<H", head, 56)[0]
rows = [struct.unpack("<IIQQQQQQ", core.read(56)) for _ in range(count)]
loads = [row for row in rows if row[0] == 1]
note = next(row for row in rows if row[0] == 4)

def at(address, size, column):
    for row in loads:
        if row[column] <= address < row[column] + row[5]:
            core.seek(row[2] + address - row[column])
            return core.read(size)

core.seek(note[2])
notes = core.read(note[5])
names = []
while len(notes) >= 12:
    name, size, kind = struct.unpack_from("<III", notes)
    start = 12 + (name + 3) // 4 * 4
    names.append((notes[12 : 11 + name].decode(), kind))
    if names[-1][0] == "VMCOREINFO":
        info = notes[start : start + size].decode()
    notes = notes[start + (size + 3) // 4 * 4 :]
low = at(0x1000, 0x9e000, 4)
words = open("/proc/cmdline").read().split()
banner = int(next(word[7:] for word in words if word.startswith("banner=")), 16)
found = dict(
    size=os.stat("/proc/vmcore").st_size,
    ram=sum(row[5] for row in loads[1:]),
    banner=at(banner, 100, 3).partition(bytes(1))[0].decode(),
    release=next(line for line in info.splitlines() if line.startswith("OSRELEASE=")),
    notes=sorted(names),
    low=None if low is None else b"first-kernel" in low,
)
print("@@ 1 :", found, flush=True)
libc.reboot(0x4321FEDC)
"""


def crash(tool: str, series: str, options: str = "", then: str = "") -> Journey:
    """Boot, load the crash kernel with `tool`, do `then`, crash, read the dump."""
    kernel = kernel_file(series)
    init = gzip.compress(cpio.archive([cpio.file("init", _READER, 0o755)]), mtime=0)
    return travel(
        kernel,
        [_LOAD.format(tool=tool, options=options, then=then)],
        {"kernel": kernel.read_bytes(), "crash": root_layer() + init},
        memory=f"{_MEMORY >> 20}M",
        append=f"crashkernel={_RESERVED >> 20}M {_FIRST_LINE}",
        cpus=2,
        timeout=120,
    )


def told(journey: Journey) -> dict[str, Any]:
    assert 1 in journey.hops, journey.last_words()
    lines = [line for line in journey.hops[1].lines if line.startswith("{")]
    assert lines, journey.last_words()
    found: dict[str, Any] = ast.literal_eval(lines[0])
    return found


def assert_dumped(journey: Journey) -> dict[str, Any]:
    found = told(journey)
    release = journey.hops[0].facts["release"]
    assert found["banner"].startswith(f"Linux version {release} ")
    assert found["release"] == f"OSRELEASE={release}"
    assert found["size"] > found["ram"]
    return found


def test_a_crash_is_dumped() -> None:
    found = assert_dumped(crash("ours", "6.1"))
    assert (_MEMORY - _RESERVED) * 0.99 < found["ram"] <= _MEMORY - _RESERVED
    assert found["notes"] == [("CORE", 1), ("CORE", 1), ("VMCOREINFO", 0)]
    assert found["low"] is True  # the purgatory has saved it


def test_the_kernel_may_rewrite_the_headers_as_processors_go() -> None:
    """The purgatory's digest does not cover them, so the crash kernel starts; Linux's own have not the first MiB."""
    found = assert_dumped(crash("ours", "7.2", "--hotplug", "echo 0 >/sys/devices/system/cpu/cpu1/online"))
    assert found["notes"] == [("CORE", 1), ("VMCOREINFO", 0)]
    assert found["low"] is None

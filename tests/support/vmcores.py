"""Real dumps: /proc/vmcore of a Debian kernel that panicked in QEMU, made once and kept in the cache."""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Thread

from support import journey
from support.guests import shell
from support.journey import kernel_file, travel
from support.kernel_modules import module_file
from support.monitor import connected, until
from warmboot.debian import cache_folder
from warmboot.debian.cache import is_stored, locked, store

__all__ = ["MODULES", "PATTERN", "said", "vmcore"]

PATTERN = b"warmboot pattern \x00\xff\x10" * 200  # what a process of the first kernel holds in memory
_MESSAGE = "warmboot: a message before the crash"  # in the first kernel's log
_RESERVED = 192 << 20  # bytes
_DISK = 3  # number of the NVMe namespace that takes the dump

MODULES = ("dummy", "pktgen")  # loaded in this order; pktgen has a thread for each processor, asleep in its own code

_CRASH = f"""\
for module in {" ".join(MODULES)}; do run insmod /stage/$module.ko; done
python3.11 -SIB -c "pattern = bytes.fromhex(open('/stage/pattern').read()); import os, threading, time
os.fork() or os._exit(0)
threading.Thread(target=time.sleep, args=[1000]).start()
open('/tmp/holds', 'w').close(); time.sleep(1000)" &
sleep 1000 & until grep -qx sleep /proc/$!/comm; do usleep 10000; done
kill -STOP $!
until [ -e /tmp/holds ]; do usleep 10000; done
echo "{_MESSAGE}" >/dev/kmsg
run theirs -p -c --initrd=/stage/crash --append="console=ttyS0 quiet panic=-1 nr_cpus=1 reset_devices" /stage/kernel
run cat /sys/kernel/kexec_crash_loaded
run cat /proc/modules
grep -v "\\[" /proc/kallsyms | sha256sum | while read sum _; do say ": kallsyms $sum"; done
grep -E "\\[({"|".join(MODULES)})\\]" /proc/kallsyms | sed "s/^/symbol /" >/tmp/symbols
run cat /tmp/symbols
cat /proc/[0-9]*/task/[0-9]*/stat 2>/dev/null | sed "s/^/stat /" >/tmp/stat
run cat /tmp/stat
"""
_SAVE = f"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
# Linux names the namespaces in the order in which it finds them, and it looks for all of them at once.
until disk=$(grep -lx {_DISK} /sys/block/nvme0n*/nsid 2>/dev/null) && disk=${{disk%/nsid}} && [ -b /dev/${{disk##*/}} ]
do usleep 10000; done
set -- $(ls -l /proc/vmcore)
echo "@@ 1 up size=$5"
dd if=/proc/vmcore of=/dev/${{disk##*/}} bs=1M 2>/dev/null && sync && echo "@@ 1 status 0"
poweroff -f
"""


_SYSRQ = "echo c >/proc/sysrq-trigger\n"
_READY = b"the processors are busy"
# Both processors are interrupted in the middle of something: QEMU's `nmi` is one that nobody expects.
_NMI = f"""\
for number in 1 2 3; do dd if=/dev/zero of=/dev/null bs=1M & done
echo 1 >/proc/sys/kernel/unknown_nmi_panic
sleep 0.5
echo {_READY.decode()} >/dev/ttyS1
sleep 100
"""


@cache  # what is stored is digested: 400 MB each time
def vmcore(series: str, *, memory: int = 512 << 20, cpus: int = 2, nmi: bool = False) -> Path:
    """The whole /proc/vmcore, ELF, of Debian's kernel of that series on a machine of `memory` bytes.

    A process of two threads, with a child that is a zombie, held `PATTERN` in memory; another was stopped; MODULES were
    loaded; a message was logged; processor 0 or 1 panicked by sysrq, or processor 0 by an NMI while all were busy.
    """
    kernel = kernel_file(series)
    crash = _CRASH + (_NMI if nmi else _SYSRQ)
    told = f"{kernel.name} {memory} {cpus} {crash} {_SAVE}"
    path = cache_folder() / "vmcores" / f"{series}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f"{path.name}.lock")):
        if not is_stored(path):
            store(path, _made(series, memory, cpus, crash, path.with_name(f"{path.name}.said")))
    return path


def said(series: str) -> list[str]:
    """What the kernel of `vmcore(series)` said of itself just before it crashed.

    Lines of /proc/modules; `kallsyms` and the SHA-256 of /proc/kallsyms without modules; `symbol` and a line of
    /proc/kallsyms for each symbol of MODULES; `stat` and a line of /proc/PID/task/TID/stat for each task.
    """
    path = vmcore(series)
    return path.with_name(f"{path.name}.said").read_text("utf-8").splitlines()


def _made(series: str, memory: int, cpus: int, crash: str, told: Path) -> bytes:
    kernel = kernel_file(series)
    stage = {"kernel": kernel.read_bytes(), "crash": shell(_SAVE.encode()), "pattern": PATTERN.hex().encode()}
    stage |= {f"{name}.ko": module_file(series, name) for name in MODULES}
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as disk:
        Thread(target=_interrupt, args=[Path(folder)], daemon=True).start()
        disk.truncate(memory + (64 << 20))
        travelled = travel(
            kernel,
            [crash],
            stage,
            memory=f"{memory >> 20}M",
            append=f"crashkernel={_RESERVED >> 20}M",
            cpus=cpus,
            timeout=400,
            more=[
                *journey.disk("dump", Path(disk.name), _DISK, writable=True),
                *("-serial", f"unix:{folder}/port,server=on,wait=off"),
                *("-monitor", f"unix:{folder}/monitor,server=on,wait=off"),
            ],
        )
        assert 1 in travelled.hops, travelled.last_words()
        saved = travelled.hops[1]
        assert saved.statuses == [0], travelled.last_words()
        store(told, travelled.hops[0].text.encode())
        return Path(disk.name).read_bytes()[: int(saved.facts["size"])]


def _interrupt(folder: Path) -> None:
    """Send an NMI when the guest says on its second serial port that it waits for one; end with QEMU."""
    with suppress(OSError), connected(folder / "port") as port, connected(folder / "monitor") as monitor:
        until(port, _READY)
        until(monitor, b"(qemu) ")
        monitor.sendall(b"nmi\n")
        until(monitor, b"(qemu) ")

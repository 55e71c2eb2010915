"""A guest whose next kernel is meant to fail: this process sees its memory, resets it, and asks what it remembers.

It has busybox, Python, this checkout's warmboot, whatever is staged, and one writable disk, at /var/lib/warmboot. One
page of its memory is kept out of Linux's hands by the words of its command line: the box.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from support.guests import FAST, STAGE, SYSTEM, ext4, shell, stage_disk, system_disk
from support.journey import disk
from support.told_guest import ToldGuest
from warmboot.closing import Closing
from warmboot.debian import cpio
from warmboot.debian.firmware import efi_firmware
from warmboot.files.anonymous import new_file
from warmboot.machines.guest import Guest, GuestError
from warmboot.machines.qmp import Monitor, connected

__all__ = ["BOOT", "BOX", "BOX_SIZE", "KEPT", "BlackBoxGuest", "initial_ram_disk"]

BOX = 0x0C00_0000  # physical address of the page, far from where firmware, QEMU and Linux's boot put things
BOX_SIZE = 4096  # bytes
KEPT = f"memmap=4K${BOX:#x} warmboot.blackbox={BOX:#x}"  # what keeps the page
BOOT = f"console=ttyS0 quiet panic=-1 {FAST}"  # what a kernel is told that is meant to arrive

_STATE = "state"
_MEMORY = 768 << 20  # bytes
_PATIENCE = 240.0  # seconds without a word, on a busy machine
_POLL = 0.02  # seconds between looks at the guest's memory
_INIT = f"""\
#!/bin/busybox sh
export PATH=/opt/warmboot:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/opt/warmboot/src
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
case $(cat /proc/cmdline) in *fault=hang*) echo sleeping; while :; do sleep 1000; done;; esac
dmesg -n 1
for label in {SYSTEM} {STAGE}; do
    tries=0
    until disk=$(findfs LABEL=$label 2>/dev/null); do
        usleep 5000; tries=$((tries + 1)); [ $tries = 400 ] && echo "no disk $label yet"
    done
    mount -t ext4 -o ro $disk /disks/$label
done
mount -t ext4 -o sync $(findfs LABEL={_STATE}) /var/lib/warmboot
exec 3<>/dev/ttyS1
stty -F /dev/ttyS1 raw -echo
echo >&3  # EFI firmware has said something there, without an end of its line
echo "@@ up $(uname -r)" >&3
while read -r number command <&3; do
    eval "$command" >/tmp/said 2>&1 3>&-
    status=$?
    sed "s/^/@@ : /" /tmp/said >&3
    echo "@@ $number $status" >&3
done
"""


class BlackBoxGuest(ToldGuest, Closing):
    """One computer that firmware starts with `kernel`, again at each reset; `files` are below /stage, by name.

    `line` goes after `BOOT` and `KEPT`. With `efi` its firmware is OVMF. `less` are features that its processor does
    not have; `options` are more of QEMU's. `kept` are the words that keep the page at `box` out of Linux's hands. A
    context manager.
    """

    def __init__(
        self,
        kernel: Path,
        files: Mapping[str, bytes],
        *,
        line: str = "",
        efi: bool = False,
        less: str = "",
        options: tuple[str, ...] = (),
        kept: str = KEPT,
        box: int = BOX,
    ) -> None:
        self.page = box
        self._stack = ExitStack()
        try:
            self._start(kernel, files, f"{kept} {line}", efi, less, options)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the guest."""
        self._stack.close()

    def box(self) -> bytes:
        """The page as it is now."""
        return self._memory[self.page : self.page + BOX_SIZE]

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the guest's physical memory below its PCI hole."""
        return self._memory[address : address + size]

    def places(self, data: bytes) -> list[int]:
        """Where that memory has `data`, at multiples of its size."""
        found, at = [], self._memory.find(data)
        while at >= 0:
            found += [at] if at % len(data) == 0 else []
            at = self._memory.find(data, at + 1)
        return found

    def write(self, address: int, data: bytes) -> None:
        """Write to the guest's physical memory below its PCI hole."""
        self._memory[address : address + len(data)] = data

    def until(self, holds: Callable[[bytes], bool], what: str) -> bytes:
        """Wait until the page is as `holds` wants it; the page. Raises GuestError where it never is."""
        deadline = time.monotonic() + _PATIENCE
        while not holds(page := self.box()):
            if self.guest.ended or time.monotonic() > deadline:
                raise GuestError(f"the box never told: {what}", self.guest.last_words())
            time.sleep(_POLL)
        return page

    def until_said(self, words: str) -> None:
        """Wait until the console has said `words` since the last reset. Raises GuestError where it never does."""
        deadline = time.monotonic() + _PATIENCE
        while words not in self.console[self._heard :]:
            if self.guest.ended or time.monotonic() > deadline:
                raise GuestError(f"the console never said: {words}", self.guest.last_words())
            time.sleep(_POLL)

    def hold(self) -> None:
        """Where the guest resets the machine from now on, as by a triple fault, it stands still until `reset`."""
        self._monitor.ask("set-action", reboot="shutdown", shutdown="pause")

    def until_held(self, seconds: float) -> None:
        """Wait until it stands still, so many seconds at most: one that hangs never does."""
        deadline = time.monotonic() + seconds
        while self._monitor.ask("query-status")["running"] and time.monotonic() < deadline:
            time.sleep(_POLL)

    def reset(self) -> None:
        """Press the reset button: memory keeps what it has, and firmware starts the first kernel again."""
        self.forget()
        self._monitor.ask("set-action", reboot="reset", shutdown="poweroff")
        self._monitor.ask("system_reset")
        self._monitor.ask("cont")

    def forget(self) -> None:
        """What the console has said so far is not looked at again."""
        self._heard = len(self.console)

    @property
    def console(self) -> str:
        """The whole console so far."""
        return Path(self._console.name).read_text("utf-8", "replace")

    def _start(
        self, kernel: Path, files: Mapping[str, bytes], line: str, efi: bool, less: str, options: tuple[str, ...]
    ) -> None:
        initrd = initial_ram_disk()
        stage = self._stack.enter_context(stage_disk({"initrd": initrd, **files}))
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "root").mkdir()
        state = ext4(folder / "root", _STATE, spare=4 << 20)
        self._console = (folder / "console").open("wb", buffering=0)
        self._stack.callback(self._console.close)
        self._heard = 0
        with ExitStack() as passed:
            memory = new_file("memory")
            passed.callback(os.close, memory)
            os.ftruncate(memory, _MEMORY)
            self._memory = self._stack.enter_context(mmap.mmap(memory, _MEMORY))
            ours, theirs = connected(self._stack, passed)
            ram = f"memory-backend-file,id=ram,size={_MEMORY}B,share=on,mem-path=/proc/self/fd/{memory}"
            more = ["-object", ram, "-action", "reboot=reset"]
            # As on large servers: a root bus of which nobody but ACPI tells.
            more += ["-device", "pxb,id=far,bus_nr=128"] if efi else []
            more += ["-device", f"nvme,id=nvme,serial=1{',bus=far' if efi else ''}"]
            more += [*disk(SYSTEM, system_disk(), 1), *disk(STAGE, stage, 2), *disk(_STATE, state, 3, writable=True)]
            more += ["-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "chardev=qmp,mode=control", *options]
            more += ["-bios", str(efi_firmware())] if efi else []
            more += ["-cpu", f"max,-erms,-fsrm,{less}"] if less else []
            self.guest = self._stack.enter_context(
                Guest(
                    *(kernel, [initrd]),
                    memory=_MEMORY,
                    append=line,
                    command_line=BOOT,
                    options=more,
                    fds=[memory, theirs.fileno()],
                    console=self._console,
                    accelerator=["tb-size=64"],
                    machine="pc,usb=off,vmport=off,memory-backend=ram",
                )
            )
        self._monitor = Monitor(ours)


def initial_ram_disk() -> bytes:
    """A shell that mounts the disks and does what it is told by the second port, or hangs where it is told to."""
    entries = [cpio.symlink(each, f"/disks/{SYSTEM}/{each}") for each in ("usr", "lib", "lib64", "etc")]
    entries += [cpio.symlink(each, f"/disks/{STAGE}/{each}") for each in ("opt", "stage")]
    entries += [cpio.directory(f"disks/{each}") for each in (SYSTEM, STAGE)]
    entries += [cpio.directory(each) for each in ("run", "var", "var/lib", "var/lib/warmboot")]
    return shell(_INIT.encode(), entries)

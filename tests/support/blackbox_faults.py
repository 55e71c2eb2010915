"""Kexecs that must fail, each in its own way, and what the black box has to tell of them after a warm reset."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from support import blackbox_damage
from support.blackbox_guest import BOOT, BOX, KEPT, BlackBoxGuest, initial_ram_disk
from support.journey import kernel_file
from support.kernel_modules import module_file
from warmboot.blackbox.record import TEMPLATE_SIZE, Box, Stage, parse
from warmboot.debian import cpio
from warmboot.kernel.kimage import Ind
from warmboot.uapi import PAGE_SIZE

__all__ = ["BMI2", "EFI", "FAULTS", "SERIES", "Dark", "Fault", "Told", "guest_for", "is_right", "told_by", "told_of"]

SERIES = "6.12"  # Debian's kernel, on both sides, unless another is named
_TIME_ENOUGH = 5  # seconds; a list of these few pages takes a hundredth of one
BMI2 = "-bmi2"  # what the guests' processor lacks
_WATCHDOG_DEVICE = ("-device", "i6300esb", "-action", "watchdog=reset")

_MODULES = ("watchdog", "i6300esb")  # whose driver tells that its watchdog has bitten

# Code for the 64-bit entry. The first two instructions there are cld and cli, and before it 186 bytes are free.
_ENTRY, _CAVE = 0x200, 0x190
_CLD_CLI = b"\xfc\xfa"
_HANG = b"\xeb\xfe"
_TRIPLE_FAULT = bytes.fromhex("0f011d 02000000 0f0b") + bytes(10)  # lidt of no table; ud2
_RORX = bytes.fromhex("c4e37bf0c007")  # rorx eax, eax, 7: as a compiler emits it that is told of BMI2


class Dark(Enum):
    """What shows from outside that a kexec has gone dark, so that the reset button may be pressed."""

    STOPPED = "the box tells of a digest or an exception"
    ENTERED = "the kernel was entered"
    PRINTED = "the kernel's early console has written to the box"
    SAID = "the console has said what it says then"
    RESET = "the machine is reset without us"
    JUMPED = "Linux has jumped, and has had time enough"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: the last `stage` that is marked, and the rule of `warmboot explain` that is its cause.

    `damage` are the words of blackbox_damage, `kernel` and `initrd` what is loaded, `line` the command line after BOOT
    or, with `bare`, instead of it; `before` is a command in the guest just before the jump. `piece` is the kind of the
    segment that is named, `vector` the exception; `says` are the console's words where they show that all is dark. With
    `cut_list` Linux's own page list, in the guest's memory, leads nowhere before its last page.
    """

    name: str
    about: str
    stage: Stage
    rule: str
    dark: Dark
    damage: str = "none"
    kernel: str = "/stage/kernel"
    initrd: str | None = "/stage/initrd"
    line: str = ""
    bare: bool = False
    more: str = ""
    says: str = "Kernel panic"
    before: str = ""
    piece: str | None = None
    vector: int | None = None
    efi: bool = False
    cut_list: bool = False


def _piece(name: str, segment: str, place: str, kind: str) -> Fault:
    return Fault(
        name=name,
        about=f"{segment}: a byte of the {place} page changes after the load",
        stage=Stage.CHECKING,
        rule="digest",
        dark=Dark.STOPPED,
        damage=f"segment '{segment}' {place}",
        initrd="/stage/large",
        piece=kind,
    )


_UNMAPPED = "0x7f0000000000"  # no identity mapping of the guest's has this
_ARM = (
    "d=$(grep -l 0x25ab /sys/bus/pci/devices/*/device); d=${d%/device}; echo 1 >$d/enable;"
    " python3.11 -B /stage/watchdog.py $d 30"
)
_WATCHDOG = """\
# Start an i6300esb as firmware does, without a driver: it resets the machine after so many seconds.
import mmap, os, struct, sys
folder, seconds = sys.argv[1], int(sys.argv[2])
with open(f"{folder}/resource0", "r+b", 0) as file, mmap.mmap(file.fileno(), 16) as registers:
    for timer in (0, 4):  # each of two stages has half of the time, in 1/1024 s
        for word in (0x80, 0x86):
            registers[12:14] = struct.pack("<H", word)
        registers[timer : timer + 4] = struct.pack("<I", seconds << 9)
with open(f"{folder}/config", "r+b", 0) as config:
    config.seek(0x60)
    config.write(bytes(2))
    config.seek(0x68)
    config.write(b"\\2")
"""

FAULTS: tuple[Fault, ...] = (
    _piece("kernel, first piece", "kernel", "first", "kernel"),
    _piece("kernel, middle piece", "kernel", "middle", "kernel"),
    _piece("initrd, middle piece", "initrd", "middle", "initrd"),
    _piece("initrd, last piece", "initrd", "last", "initrd"),
    _piece("boot parameters", "boot parameters", "first", "params"),
    Fault(
        name="Linux's page list",
        about="the source of the last page in Linux's own list is not mapped",
        stage=Stage.CALLING,
        rule="page_list",
        dark=Dark.JUMPED,  # older kernels reset the machine by a triple fault, 7.2 hangs
        before="dmesg -n 7",
        cut_list=True,
    ),
    Fault(
        name="a start that is not mapped",
        about="Linux's relocation code leaves for an address that is not mapped",
        stage=Stage.RELOCATED,
        rule="wrong_entry",
        dark=Dark.JUMPED,
        damage=f"start {_UNMAPPED}",
        before="dmesg -n 7",
    ),
    Fault(
        name="a piece that is not mapped",
        about="the purgatory is told to check memory that its page tables do not have",
        stage=Stage.CHECKING,
        rule="digest",
        dark=Dark.STOPPED,
        damage=f"piece {_UNMAPPED}",
        vector=14,
    ),
    Fault(
        name="wrong entry",
        about="the kernel is entered at an address that is not mapped",
        stage=Stage.ENTERING,
        rule="wrong_entry",
        dark=Dark.STOPPED,
        damage=f"entry {_UNMAPPED}",
        vector=14,
    ),
    Fault(
        name="newer processor",
        about="the kernel's first function has an instruction of BMI2, which the processor has not",
        stage=Stage.ENTERING,
        rule="newer_processor",
        dark=Dark.STOPPED,
        kernel="/stage/newer",
        vector=6,
    ),
    Fault(
        name="triple fault",
        about="the kernel loads an empty interrupt table and faults",
        stage=Stage.ENTERING,
        rule="",
        dark=Dark.RESET,
        kernel="/stage/triple",
    ),
    Fault(
        name="hang before the console",
        about="the kernel's first instruction jumps to itself",
        stage=Stage.ENTERING,
        rule="",
        dark=Dark.ENTERED,
        kernel="/stage/hang",
    ),
    Fault(
        name="hang after the console",
        about="the first program of the initrd sleeps for ever",
        stage=Stage.ENTERING,
        rule="",
        dark=Dark.SAID,
        says="sleeping",
        line="fault=hang",
    ),
    Fault(
        name="no console",
        about="the command line names no console, and nothing is ever seen",
        stage=Stage.ENTERING,
        rule="no_console",
        dark=Dark.PRINTED,
        line="quiet panic=0 fault=hang",
        bare=True,
    ),
    Fault(
        name="bad memory map",
        about="the new kernel is told of no RAM from 96 MiB on, where the initrd is",
        stage=Stage.ENTERING,
        rule="memory_map",
        dark=Dark.PRINTED,
        damage="ram 0x6000000",
        line="panic=0",
    ),
    Fault(
        name="initrd cut off",
        about="half of the initrd's file is loaded",
        stage=Stage.ENTERING,
        rule="initrd_broken",
        dark=Dark.SAID,
        initrd="/var/lib/warmboot/half",
        line="panic=0",
    ),
    Fault(
        name="mem= too small",
        about="the command line has mem=16M, which leaves no room for the kernel",
        stage=Stage.ENTERING,
        rule="memory_map",
        dark=Dark.ENTERED,
        line="panic=0 mem=16M",
    ),
    Fault(
        name="root= without an initrd",
        about="the command line names the root by UUID, and there is no initrd to find it",
        stage=Stage.ENTERING,
        rule="no_root",
        dark=Dark.SAID,
        initrd=None,
        line="panic=0 root=UUID=9a6d6a5e-5d5c-4f3e-8c8e-000000000001",
    ),
    Fault(
        name="watchdog bite",
        about="a watchdog runs that nobody feeds, and the kernel hangs",
        stage=Stage.ENTERING,
        rule="watchdog",
        dark=Dark.RESET,
        kernel="/stage/hang",
        before=_ARM,
    ),
    Fault(
        name="EFI not handed on",
        about="neither EFI nor ACPI's root pointer: the bus that has the disks is never found",
        stage=Stage.ENTERING,
        rule="efi_rsdp",
        dark=Dark.SAID,
        says="no disk system yet",
        damage="firmware",
        more="--noefi",
        efi=True,
    ),
)
EFI = tuple(each for each in FAULTS if each.efi)


@dataclass(frozen=True, slots=True)
class Told:
    """What the black box told of a fault: the page as `record` reads it, and `warmboot blackbox --json`."""

    box: Box | None
    document: dict[str, Any]

    @property
    def stage(self) -> str:
        """The last stage, by its name."""
        return str(self.document.get("stage"))

    @property
    def rules(self) -> list[str]:
        """The causes, the likely ones first."""
        return [each["rule"] for each in self.document["causes"]]

    @property
    def story(self) -> str:
        """The one sentence."""
        return str(self.document["told"])


def guest_for(
    *, series: str = SERIES, efi: bool = False, modules: Sequence[str] = (), kept: str = KEPT, box: int = BOX
) -> BlackBoxGuest:
    """The guest in which the faults happen, not yet up, with more modules of its kernel below /stage."""
    files = _files(series) | {f"{each}.ko": module_file(series, each) for each in modules}
    options = () if efi else _WATCHDOG_DEVICE
    return BlackBoxGuest(kernel_file(series), files, efi=efi, less=BMI2, options=options, kept=kept, box=box)


def told_by(guest: BlackBoxGuest, fault: Fault) -> Told:
    """Have the fault happen in a guest that is up; what it tells when it is up again. Raises GuestError."""
    guest.run("head -c 1000000 /stage/initrd >/var/lib/warmboot/half")
    line = fault.line if fault.bare else f"{BOOT} {fault.line}"
    initrd = f"--initrd={fault.initrd}" if fault.initrd else ""
    kexec = f"-c -l {fault.kernel} {initrd} --command-line='{line}' {fault.more}"
    loaded = guest.run(f"python3.11 -B /stage/damage.py {fault.damage} -- {kexec}")
    if loaded.status:
        raise AssertionError(f"{fault.name}: the load fails:\n{loaded.text}")
    if fault.before:
        said = guest.run(fault.before)
        assert said.status == 0, f"{fault.name}: {said.text}"
    if fault.cut_list:
        _cut_list(guest)
    if fault.dark is Dark.JUMPED:
        guest.hold()
    guest.forget()
    guest.send("kexec -e")
    _wait(guest, fault)
    box = parse(guest.box())
    if fault.dark is not Dark.RESET:
        guest.reset()
    guest.up()
    return Told(box, told_of(guest))


def is_right(fault: Fault, told: Told) -> bool:
    """Whether the stage is the right one, and the piece and the exception where the fault has one."""
    piece, exception = told.document["piece"], told.document["exception"]
    return (
        told.stage == fault.stage.name.lower()
        and (fault.piece is None or (piece["kind"], piece["differs"]) == (fault.piece, True))
        and fault.vector == (exception["vector"] if exception else None)
    )


def told_of(guest: BlackBoxGuest) -> dict[str, Any]:
    """`warmboot blackbox --json`, and everything is forgotten then."""
    guest.run("; ".join(f"insmod /stage/{each}.ko" for each in _MODULES))
    said = guest.run("warmboot blackbox --json")
    guest.run("warmboot blackbox clear; rmmod i6300esb")
    found: dict[str, Any] = json.loads(said.text)
    assert "causes" in found, said.text
    return found


def _wait(guest: BlackBoxGuest, fault: Fault) -> None:
    match fault.dark:
        case Dark.STOPPED:
            guest.until(_stopped, fault.dark.value)
        case Dark.ENTERED:
            guest.until(_entered, fault.dark.value)
        case Dark.PRINTED:
            guest.until(_printed, fault.dark.value)
        case Dark.SAID:
            guest.until_said(fault.says)
        case Dark.JUMPED:
            guest.until_said("Starting new kernel")
            guest.until_held(_TIME_ENOUGH)
        case Dark.RESET:
            guest.until(lambda page: _stage(page) is fault.stage, fault.dark.value)


def _stopped(page: bytes) -> bool:
    box = parse(page)
    return box is not None and (box.differs or box.exception is not None)


def _entered(page: bytes) -> bool:
    return _stage(page) is Stage.ENTERING


def _stage(page: bytes) -> Stage | None:
    box = parse(page)
    return None if box is None else box.stage


def _cut_list(guest: BlackBoxGuest) -> None:
    """The list ends with the box: its destination, where its content is (kimage_entry_t), and the end. Memory has the
    lists of earlier kexecs, too: their boxes are of other loads."""
    load = guest.box()[:TEMPLATE_SIZE]
    lists = [
        at
        for at in guest.places(struct.pack("<Q", guest.page | Ind.DESTINATION))
        for source, end in [struct.unpack("<QQ", guest.read(at + 8, 16))]
        if source & Ind.SOURCE and end == Ind.DONE and guest.read(source & -PAGE_SIZE, TEMPLATE_SIZE) == load
    ]
    assert len(lists) == 1, f"Linux's page list is in memory at {len(lists)} places"
    guest.write(lists[0] + 8, struct.pack("<Q", int(_UNMAPPED, 0) | Ind.SOURCE))


def _printed(page: bytes) -> bool:
    box = parse(page)
    return box is not None and box.printed


@cache
def _files(series: str) -> dict[str, bytes]:
    kernel = kernel_file(series).read_bytes()
    return {
        "kernel": kernel,
        "large": initial_ram_disk() + cpio.archive([cpio.file("noise", Random(13).randbytes(9 << 20))]),
        "newer": _with(kernel, _RORX),
        "triple": _with(kernel, _TRIPLE_FAULT),
        "hang": _with(kernel, _HANG),
        "watchdog.py": _WATCHDOG.encode(),
        "damage.py": Path(blackbox_damage.__file__).read_bytes(),
        **{f"{each}.ko": module_file(series, each) for each in _MODULES},
    }


def _with(kernel: bytes, code: bytes) -> bytes:
    """A bzImage whose 64-bit entry executes `code`, and then goes on as before."""
    start = (kernel[0x1F1] + 1) * 512
    entry = start + _ENTRY
    assert kernel[entry : entry + 2] == _CLD_CLI, "another kernel: see what its entry begins with"
    code = _CLD_CLI + code
    code += b"\xe9" + (_ENTRY + 2 - (_CAVE + len(code) + 5)).to_bytes(4, "little", signed=True)
    cave = slice(start + _CAVE, start + _CAVE + len(code))
    assert not any(kernel[cave]), "another kernel: see what is before its entry"
    changed = bytearray(kernel)
    changed[cave] = code
    changed[entry : entry + 2] = b"\xeb" + (_CAVE - _ENTRY - 2).to_bytes(1, "little", signed=True)
    return bytes(changed)

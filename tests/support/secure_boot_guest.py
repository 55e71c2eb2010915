"""A computer with EFI firmware and Secure Boot: OVMF, shim, GRUB and kernels as Debian signs them, keys of our own.

Firmware starts shim, which Microsoft has signed; shim starts GRUB, and GRUB a kernel, both signed by Debian or by a key
in MOK. What firmware and shim trust besides is written into the variable store by virt-firmware.
"""

from __future__ import annotations

import ast
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from support import secure_boot_agent
from support.guests import FAST, busybox, ext4
from support.kernel_modules import config_file, module_file
from warmboot.debian import Suite, cache_folder, cpio, kernel, release, unpack
from warmboot.debian.cache import locked
from warmboot.live.gathered import SCRIPT, facts_of, read_gathered
from warmboot.machines.guest import Guest
from warmboot.memmap import Facts
from warmboot.oracle.guest.root import root_layer

__all__ = ["Computer", "Step", "facts_told", "play"]

_PACKAGES = ("ovmf", "shim-signed", "grub-efi-amd64-signed", "keyutils", "libkeyutils1")
_OWNER = "11111111-2222-3333-4444-555555555555"
_COMMANDS = ("sh", "sed", "grep", "od", "uname", "dmesg", "gzip", "cat")
_MACHINE = "q35,smm=on,usb=off,vmport=off,hpet=off"
_PATIENCE = 240.0  # seconds without a word, on a busy machine
_MEMORY = 1 << 30
_DISK = 64 << 20  # bytes that are free on the disk

Step = tuple[Any, ...]


@dataclass(frozen=True)
class Computer:
    """What firmware and shim are told, and which kernel is started, with what on its command line.

    `db` and `mok` are certificates in PEM, `dbx` revoked ones, `dbx_hashes` digests of files in hex. `trust_mok` is
    what shim does by itself since 15.5, until `mokutil --untrust-mok`. `files` go into the initial RAM disk.
    """

    series: str = "6.12"
    image: bytes | None = None  # one that is built, signed where that is needed, in place of Debian's of that series
    secure_boot: bool = True
    db: tuple[str, ...] = ()
    dbx: tuple[str, ...] = ()
    dbx_hashes: tuple[str, ...] = ()
    mok: tuple[str, ...] = ()
    trust_mok: bool = True
    command_line: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)


@cache
def _programs() -> Path:
    """The packages, unpacked into the cache."""
    debs = Suite("bookworm").fetch(_PACKAGES)
    folder = cache_folder() / "secure-boot" / "-".join(each.stem.split("_")[1] for each in debs)[:120]
    with locked(folder.parent / "lock"):
        if not folder.exists():
            unpacking = folder.with_name("unpacking")
            shutil.rmtree(unpacking, ignore_errors=True)  # what a killed run left
            for deb in debs:
                unpack(deb, unpacking)
            unpacking.rename(folder)
    return folder


def _variables(computer: Computer, folder: Path) -> Path:
    """The variable store, as virt-firmware writes it."""
    words: list[str] = []

    def add(option: str, certificates: Sequence[str]) -> None:
        for each in certificates:
            path = folder / f"{len(words)}.pem"
            path.write_text(each)
            words.extend((option, _OWNER, str(path)))

    add("--add-db", computer.db)
    add("--add-dbx-cert", computer.dbx)
    add("--add-mok", computer.mok)
    for each in computer.dbx_hashes:
        words += ["--add-dbx-hash", _OWNER, each]
    if not computer.trust_mok:
        path = folder / "untrusted.json"
        path.write_text(_MOK_NOT_TRUSTED)
        words += ["--set-json", str(path)]
    source = _programs() / "usr/share/OVMF" / ("OVMF_VARS_4M.ms.fd" if computer.secure_boot else "OVMF_VARS_4M.fd")
    store = folder / "variables"
    command = [sys.executable, "-m", "virt.firmware.vars", "-i", str(source), "-o", str(store), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return store


# A variable of shim's, for boot services alone (attributes 3): 1 is `mokutil --untrust-mok`.
_MOK_NOT_TRUSTED = (
    '{"version": 2, "variables": [{"name": "MokListTrusted", "guid": "605dab50-e046-4300-abb6-3dd810dd8b23",'
    ' "attr": 3, "data": "01"}]}'
)


def _initial_ram_disk(computer: Computer, steps: Sequence[Step]) -> bytes:
    source = Path(secure_boot_agent.__file__).read_bytes()
    programs = _programs()
    layer = [cpio.directory(each) for each in ("bin", "boot", "tmp", "disk", "usr/bin", "usr/lib", "etc", "etc/ima")]
    layer += [cpio.file("bin/busybox", busybox(), 0o755)]
    layer += [cpio.symlink(f"bin/{each}", "busybox") for each in _COMMANDS]
    layer += [cpio.file("usr/bin/keyctl", (programs / "bin/keyctl").read_bytes(), 0o755)]
    [library] = [each for each in programs.rglob("libkeyutils.so.1*") if not each.is_symlink()]
    layer += [cpio.file("usr/lib/libkeyutils.so.1", library.read_bytes(), 0o755)]
    layer += [cpio.file("facts.sh", SCRIPT.encode())]
    if computer.image is None:
        linux = release(kernel(computer.series))
        layer += [cpio.file(f"boot/config-{linux}", config_file(computer.series))]
        layer += [cpio.file("efivarfs.ko", module_file(computer.series, "efivarfs"))]
    layer += [cpio.file("steps", "".join(f"{each!r}\n" for each in steps).encode())]
    layer += [cpio.file(name, data) for name, data in computer.files.items()]
    layer += [cpio.file("init", b"#!/usr/bin/python3.11 -SIB\n" + source, 0o755)]
    return root_layer() + gzip.compress(cpio.archive(layer), 1, mtime=0)


@contextmanager
def _started(computer: Computer, steps: Sequence[Step]) -> Iterator[Guest]:
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="warmboot-secure-") as name:
        folder = Path(name)
        system, disk = folder / "system", folder / "disk"
        for each in (system / "EFI/BOOT", system / "EFI/debian", disk):
            each.mkdir(parents=True)
        shutil.copy(programs / "usr/lib/shim/shimx64.efi.signed", system / "EFI/BOOT/BOOTX64.EFI")
        shutil.copy(programs / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", system / "EFI/BOOT/grubx64.efi")
        (system / "vmlinuz").write_bytes(computer.image or kernel(computer.series).read_bytes())
        (system / "initrd").write_bytes(_initial_ram_disk(computer, steps))
        line = f"console=ttyS0 quiet panic=-1 {FAST} {computer.command_line}"
        script = f"linux /vmlinuz {line}\ninitrd /initrd\nboot\n"
        (system / "EFI/debian/grub.cfg").write_text(script)
        drives = (
            f"if=pflash,unit=0,format=raw,readonly=on,file={programs}/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
            f"if=pflash,unit=1,format=raw,file={_variables(computer, folder)}",
            f"if=none,id=system,format=raw,readonly=on,file=fat:{system}",
            f"if=none,id=disk,format=raw,file={ext4(disk, 'disk', spare=_DISK)}",
        )
        options = [word for each in drives for word in ("-drive", each)]
        options += ["-device", "virtio-blk-pci,drive=system,bootindex=0", "-device", "nvme,serial=1,drive=disk"]
        # Emulated, clocks are measured while firmware sleeps: without S3 its memory is not kept for that.
        options += ["-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1"]
        with Guest(None, [], memory=_MEMORY, options=options, machine=_MACHINE) as guest:
            yield guest


def play(computer: Computer, steps: Sequence[Step]) -> list[Any]:
    """What the guest tells of each step."""
    told: list[Any] = []
    last = "nothing on the port"
    with _started(computer, steps) as guest:
        for last in guest.lines(_PATIENCE):
            if last.startswith("= "):
                told.append(ast.literal_eval(last[2:]))
            if len(told) == len(steps):
                return told
        raise AssertionError("\n".join([last, *guest.last_words()]))


def facts_told(text: str) -> Facts:
    """The facts that a step `facts` told."""
    return facts_of(read_gathered(os.fsencode(text), "the guest"), "the guest")[0]

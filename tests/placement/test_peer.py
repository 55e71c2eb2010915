"""What a kernel is handed, against kexec-tools on the same made-up computer: every difference has its reason here."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.crash_machine import CrashMachine
from support.formats import elf
from support.kexec_tools import kexec_tools
from support.multiboot_kernel import multiboot1_kernel, multiboot2_kernel
from support.multiboot_told import TOLD
from support.peer import Load, captured
from warmboot.debian import kernel
from warmboot.images import identify, map_file
from warmboot.live.arch.x86_64.firmware import read_firmware
from warmboot.live.computer import read_computer
from warmboot.placement import Module, Placement, PlaceOptions, place
from warmboot.placement.arch.x86_64.boot_params import synthetic_header

pytestmark = pytest.mark.needs_namespaces

RSDP = 0x7FFD7014
RUNTIME_MAP = [
    (5, 0x7E00_0000, 0xFFFF_FFFE_F000_0000, 256, 0x8000_0000_0000_000F),
    (6, 0x7E10_0000, 0xFFFF_FFFE_F010_0000, 16, 0x8000_0000_0000_000F),
]
# Of struct boot_params: where the two differ, and why.
DIFFERENT = {
    (
        0x002,
        2,
    ): "ext_mem_k: kexec-tools writes it into what was read as screen information; no kernel of 64 bits reads it",
    (0x020, 4): "cl_magic and cl_offset: a command line for boot protocols before 2.02",
    (0x0C8, 4): "ext_cmd_line_ptr: an address, high where theirs is low",
    (0x1D0, 4): "efi_memmap: an address",
    (0x1E0, 4): "alt_mem_k: kexec-tools counts one KiB too few",
    (0x1EC, 1): "secure_boot: kexec-tools does not hand it on, and the new kernel forgets its lockdown",
    (0x1F2, 2): "root_flags: the kernel file's own say",
    (0x1FC, 4): "root_dev and boot_flag: kexec-tools makes the root device /dev/hda, and cuts boot_flag",
    (0x211, 1): "loadflags: a bzImage is LOADED_HIGH",
    (0x228, 4): "cmd_line_ptr: an address",
    (0x250, 8): "setup_data: an address",
    (0x290, 64): "edd_mbr_sig_buffer: in the folder's order there, by the disks' numbers here",
    (0xD00, 6 * 82): "eddbuf: likewise",
}


@dataclass(frozen=True)
class Pieces:
    """Memory as an image finds it."""

    places: list[tuple[int, bytes]]

    @classmethod
    def of(cls, loaded: Load | Placement) -> Pieces:
        if isinstance(loaded, Load):
            return cls([(each.mem, each.data.ljust(each.memsz, b"\0")) for each in loaded.segments])
        segments = loaded.request.segments
        return cls([(each.mem, b"".join(each.buf.pieces(0, each.bufsz)).ljust(each.memsz, b"\0")) for each in segments])

    def read(self, address: int, size: int) -> bytes:
        [(mem, data)] = [(mem, data) for mem, data in self.places if mem <= address < mem + len(data)]
        return data[address - mem : address - mem + size]


def put(root: Path, name: str, content: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A computer with EFI, two disks that the BIOS knew, and something on its screen."""
    CrashMachine(systab=f"ACPI20={RSDP:#x}\nSMBIOS=0x7ff00000\n", rsdp=RSDP).write(tmp_path)
    page = bytearray(4096)
    page[:64] = bytes(range(1, 65))
    page[0x70:0x78] = RSDP.to_bytes(8, "little")
    struct.pack_into("<4s7I", page, 0x1C0, b"EL64", 0x7F9E_E018, 48, 1, 0x1000, 480, 1, 0)
    page[0x1EC], page[0x23C] = 3, 4
    put(tmp_path, "sys/kernel/boot_params/data", bytes(page))
    for name, value in (("fw_vendor", 0x7E12_3456), ("runtime", 0x7E12_0000), ("config_table", 0x7E13_0000)):
        put(tmp_path, f"sys/firmware/efi/{name}", f"{value:#x}\n")
    for number, values in enumerate(RUNTIME_MAP):
        for name, value in zip(("type", "phys_addr", "virt_addr", "num_pages", "attribute"), values, strict=True):
            put(tmp_path, f"sys/firmware/efi/runtime-map/{number}/{name}", f"{value:#x}\n")
    for disk in (0x80, 0x81):
        folder = f"sys/firmware/edd/int13_dev{disk:x}"
        put(tmp_path, f"{folder}/mbr_signature", f"0x{0xDEAD0000 + disk:08x}\n")
        put(tmp_path, f"{folder}/version", "0x30\n")
        for name, text in (("max_cylinder", "1023"), ("max_head", "254"), ("sectors_per_track", "63")):
            put(tmp_path, f"{folder}/legacy_{name}", f"{text}\n")
        put(tmp_path, f"{folder}/extensions", "Fixed disk access\n64-bit extensions\n")
        put(tmp_path, f"{folder}/raw_data", bytes([74, 0, *range(72)]))
    return tmp_path


def theirs(root: Path, image: Path, *options: str) -> Load:
    run = captured([*kexec_tools("sid"), "-l", "-c", str(image), *options], root)
    assert run.status == 255, run.stderr  # for want of a kernel, after all was done
    return run.load


def parameters_in(load: Load) -> tuple[int, bytes]:
    [found] = [(each.mem, each.data) for each in load.segments if each.data[0x202:0x206] == b"HdrS"]
    return found


def command_line_of(page: bytes) -> int:
    low, high = struct.unpack_from("<I", page, 0x228)[0], struct.unpack_from("<I", page, 0xC8)[0]
    return int(low | high << 32)


def setup_data(memory: Pieces, page: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    here = struct.unpack_from("<Q", page, 0x250)[0]
    while here:
        here, kind, size, data = (*struct.unpack("<QII", memory.read(here, 16)), memory.read(here + 16, 4096))
        found[kind] = data[:size]
    return found


@pytest.mark.parametrize("noefi", [False, True])
def test_boot_params_of_a_bzimage(root: Path, noefi: bool) -> None:
    image = kernel("6.1")
    # In this order: behind --append, --noefi makes kexec-tools forget the command line.
    load = theirs(root, image, *(["--noefi"] if noefi else []), "--append=quiet x=1")
    _, page = parameters_in(load)
    firmware = read_firmware(str(root), noefi=noefi)
    placement = place(
        identify(image), read_computer(str(root)), PlaceOptions(command_line="quiet x=1", firmware=firmware)
    )
    memory, peer = Pieces.of(placement), Pieces.of(load)
    ours = memory.read(placement.boot_params, 4096)
    excused = {at + offset for at, size in DIFFERENT for offset in range(size)}
    assert [hex(at) for at in range(4096) if at not in excused and page[at] != ours[at]] == []
    # What lies elsewhere, or in another order, is the same there.
    for each in (page, ours):
        assert each[0x1EA] == each[0x1E9] == 2
    assert sorted(struct.unpack_from("<2I", ours, 0x290)) == sorted(struct.unpack_from("<2I", page, 0x290))
    assert {ours[0xD00:0xD52], ours[0xD52:0xDA4]} == {page[0xD00:0xD52], page[0xD52:0xDA4]}
    assert memory.read(command_line_of(ours), 10) == peer.read(command_line_of(page), 10) == b"quiet x=1\0"
    lists = setup_data(memory, ours), setup_data(peer, page)
    assert lists[0].keys() == lists[1].keys() == ({9} if noefi else {4, 9})
    assert lists[0].get(4) == lists[1].get(4)
    if not noefi:
        for each, there in ((ours, memory), (page, peer)):
            descriptors = struct.iter_unpack("<I4x4Q", there.read(*struct.unpack_from("<II", each, 0x1D0)))
            assert sorted(descriptors) == RUNTIME_MAP  # in the folder's order there


@pytest.mark.parametrize("protocol", [1, 2])
def test_multiboot_information(root: Path, tmp_path: Path, protocol: int) -> None:
    """But for the maps' ends: kexec-tools says that low memory begins at 0, and gives mem_lower in its own way."""
    image, module = tmp_path / "kernel", tmp_path / "module"
    image.write_bytes(multiboot1_kernel() if protocol == 1 else multiboot2_kernel())
    module.write_bytes(bytes(range(200)) * 77)
    # A length with which a tag needs no padding: kexec-tools counts without it, and cuts the end off.
    line = f"{module} an argument"
    line += "t" * (-(len(line) + 1) % 8)
    load = theirs(root, image, "--command-line=a b", f"--module={line}")
    placement = place(
        identify(image),
        read_computer(str(root)),
        PlaceOptions(
            command_line="a b",
            modules=[Module(map_file(module), line)],
            firmware=read_firmware(str(root)),
        ),
    )
    read = TOLD[protocol][1]
    ours = read(Pieces.of(placement), placement.entry.rbx)
    peer = read(Pieces.of(load), information_in(load, protocol))
    assert ours.command_line == peer.command_line == f"{image} a b"
    assert ours.modules == peer.modules == [(module.read_bytes(), line)]
    assert ours.memory[1] in (peer.memory[1], peer.memory[1] + 1)
    for (start, size, kind), (theirs_start, theirs_size, theirs_kind) in zip(ours.mmap, peer.mmap, strict=True):
        assert start == theirs_start or start < 0x10_0000
        assert start + size == theirs_start + theirs_size or start < 0x10_0000
        assert kind in (theirs_kind, 2)  # in multiboot 2 kexec-tools forgets the type of persistent memory
    assert ours.loader == "warmboot"
    assert peer.loader.startswith("kexec")


def information_in(load: Load, protocol: int) -> int:
    """The segment that names the loader, and is not purgatory."""
    [found] = [each.mem for each in load.segments if b"kexec 2" in each.data[:4096]] or [
        each.mem for each in load.segments if b"kexec" in each.data[:4096] and each.data[:4] != b"\x7fELF"
    ]
    return found


def test_boot_params_of_an_elf_image(root: Path, tmp_path: Path) -> None:
    image = tmp_path / "vmlinux"
    image.write_bytes(elf(64))
    load = theirs(root, image, "--args-linux", "--append=quiet")
    _, page = parameters_in(load)
    firmware = read_firmware(str(root))
    placement = place(identify(image), read_computer(str(root)), PlaceOptions(command_line="quiet", firmware=firmware))
    ours = Pieces.of(placement).read(placement.boot_params, 4096)
    header = range(0x1F1, len(synthetic_header(0, 0)))  # a kernel without a file's header gets what it may rely on
    excused = {at + offset for at, size in DIFFERENT for offset in range(size)} | set(header)
    excused |= set(range(0xEEC, 4096))  # what the structure leaves of its page: kexec-tools has the command line there
    assert [hex(at) for at in range(4096) if at not in excused and page[at] != ours[at]] == []

"""Multiboot images: where they go with their modules, and what the information tells, read back as a kernel would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.multiboot_told import TOLD, Told
from support.payload32 import found32, looking_payload
from warmboot.errors import RefusedError
from warmboot.images import ElfSegment, MultibootImage, Relocation, VideoMode
from warmboot.machines.machine import Machine
from warmboot.machines.unicorn import execute
from warmboot.memmap import E820Entry, E820Type, Efi, Facts, Firmware, FrameBuffer, Range
from warmboot.placement import Module, Placement, PlaceOptions, place
from warmboot.placement.arch.x86_64.multiboot_info import BootInformation
from warmboot.purgatory import Console
from warmboot.rehearsal.handover import hand_over
from warmboot.uapi import KEXEC_SEGMENT_MAX, PAGE_SIZE, Segment

MIB, GIB = 1 << 20, 1 << 30
SCREEN = FrameBuffer(0x3_8000_0000, 5120, 1280, 1024, 32, (16, 8), (8, 8), (0, 8))
MODULES = [Module(memoryview(bytes([each]) * (5000 * each)), f"mod{each} arg") for each in range(1, 4)]


def multiboot(
    protocol: int,
    *,
    at: int = 0x10_0000,
    video_mode: VideoMode | None = None,
    relocation: Relocation | None = None,
    dynamic: bool = False,
) -> MultibootImage:
    """A payload that looks around, and another segment with its bss."""
    segments = [(at, looking_payload(), 0x800), (at + 0x3000, b"data", 0x2345)]
    return MultibootImage(
        name="/boot/xen",
        file=memoryview(b""),
        protocol=protocol,
        entry=at,
        segments=tuple(ElfSegment(memoryview(data), start, start, memsz) for start, data, memsz in segments),
        bits=32,
        dynamic=dynamic,
        video_mode=video_mode,
        relocation=relocation,
    )


def named(placement: Placement, name: str) -> list[Segment]:
    return [each for each in placement.request.segments if each.name == name]


def started(image: MultibootImage, placement: Placement, machine: Machine) -> Told:
    """Load, hand over, run the image; what it was told by the registers that it found."""
    machine.kernel.kexec_load(placement.request)
    done = hand_over(machine, placement)
    assert done.reached
    assert done.digest_checked
    execute(machine.memory, machine.kernel.reboot())
    values = found32(machine.memory).values
    magic, read = TOLD[image.protocol]
    assert values["eax"] == magic
    assert values["ebx"] == named(placement, "boot information")[0].mem
    told = read(machine.memory, values["ebx"])
    assert told.spare == 0
    return told


@pytest.mark.parametrize("protocol", [1, 2])
def test_an_image_is_told_everything_where_it_looks(protocol: int) -> None:
    with Machine(Facts.of_pc(6 * GIB)) as machine:
        image = multiboot(protocol)
        placement = place(image, machine.facts, PlaceOptions(command_line="a=1 b", modules=MODULES))
        told = started(image, placement, machine)
        assert told.command_line == placement.command_line == "/boot/xen a=1 b"
        assert told.loader == "warmboot"
        assert told.modules == [(bytes(each.data), each.command_line) for each in MODULES]
        assert told.memory == (0x9FC00 >> 10, (2 * GIB - MIB) >> 10)
        types = {E820Type.RAM: 1, E820Type.RESERVED: 2}
        assert told.mmap == [(each.range.start, each.range.size, types[each.type]) for each in machine.facts.e820]
        assert told.frame_buffer is None
        assert told.load_base is None
        assert all(each.end <= 4 * GIB for each in placement.request.segments)
        # As boot loaders do: behind the image, low.
        behind = max(each.end for each in named(placement, "kernel"))
        assert min(each.mem for each in named(placement, "module")) == behind
        assert machine.memory.read(0x10_3000, 0x2345) == b"data".ljust(0x2345, b"\0")


@pytest.mark.parametrize("protocol", [1, 2])
@pytest.mark.parametrize("console", [Console(), Console(vga=True), Console(reset_vga=True)])
def test_the_screen_for_an_image_that_asks(protocol: int, console: Console) -> None:
    firmware = Firmware(frame_buffer=SCREEN)
    with Machine.of_pc(256 * MIB) as machine:
        image = multiboot(protocol, video_mode=VideoMode(0, 0, 0))
        told = started(image, place(image, machine.facts, PlaceOptions(firmware=firmware, console=console)), machine)
        if console == Console():
            assert told.frame_buffer == (SCREEN.address, 5120, 1280, 1024, 32, 1)
            assert told.colours[:6] == bytes([16, 8, 8, 8, 0, 8])
        else:
            assert told.frame_buffer == (0xB8000, 160, 80, 25, 16, 2)
    with Machine.of_pc(256 * MIB) as machine:
        image = multiboot(protocol)
        assert (
            started(image, place(image, machine.facts, PlaceOptions(firmware=firmware)), machine).frame_buffer is None
        )


@pytest.mark.parametrize(("rsdp", "tag"), [(b"RSD PTR ".ljust(20, b"1"), 14), (b"RSD PTR ".ljust(36, b"2"), 15)])
def test_firmwares_tables_in_multiboot_2(rsdp: bytes, tag: int) -> None:
    efi = Efi(b"EL64", 0x1_2345_6018, (), 0, 0, 0)
    with Machine.of_pc(256 * MIB) as machine:
        image = multiboot(2)
        placement = place(image, machine.facts, PlaceOptions(firmware=Firmware(efi=efi, rsdp=rsdp)))
        told = started(image, placement, machine)
    assert told.rsdp == {tag: rsdp}
    assert told.efi_systab == efi.systab


@pytest.mark.parametrize(
    ("relocation", "base"),
    [
        (Relocation(MIB, 0xFFFF_FFFF, MIB, 0), MIB),  # its own place is in the range
        (Relocation(2 * MIB, 0xFFFF_FFFF, 4 * MIB, 1), 4 * MIB),
        (Relocation(2 * MIB, 0xFFFF_FFFF, 2 * MIB, 2), 254 * MIB),
        (Relocation(2 * MIB, 64 * MIB - 1, 2 * MIB, 2), 62 * MIB),
    ],
)
def test_a_relocatable_image(relocation: Relocation, base: int) -> None:
    with Machine(Facts.of_pc(256 * MIB)) as machine:
        image = multiboot(2, relocation=relocation)
        placement = place(image, machine.facts)
        assert placement.kernel_entry == base
        if base + 0x10000 < machine.facts.system_ram[-1].end:
            assert started(image, placement, machine).load_base == base


def test_a_relocatable_image_that_fits_nowhere() -> None:
    image = multiboot(2, relocation=Relocation(2 * MIB, 2 * MIB + 0x4FFF, MIB, 0))
    with pytest.raises(RefusedError, match="no room for the kernel: 24576 bytes in one piece from 0x200000 up"):
        place(image, Facts.of_pc(256 * MIB))
    fixed = multiboot(1, at=512 * MIB)
    with pytest.raises(RefusedError, match="must lie at 0x20000000-0x20000fff"):
        place(fixed, Facts.of_pc(256 * MIB))


def test_more_modules_than_segments() -> None:
    modules = [Module(memoryview(bytes([each]) * (100 + 4096 * (each % 3))), f"m{each}") for each in range(20)]
    with Machine.of_pc(256 * MIB) as machine:
        image = multiboot(2)
        placement = place(image, machine.facts, PlaceOptions(modules=modules))
        assert len(placement.request.segments) <= KEXEC_SEGMENT_MAX
        assert started(image, placement, machine).modules == [(bytes(each.data), each.command_line) for each in modules]


def test_an_initrd_is_a_module() -> None:
    with pytest.raises(RefusedError, match="a multiboot image has modules, no initrd"):
        place(multiboot(1), Facts.of_pc(GIB), PlaceOptions(initrds=[memoryview(b"initrd")]))


@settings(max_examples=150)
@given(
    sizes=st.lists(st.integers(0, 3 * PAGE_SIZE), max_size=18),
    protocol=st.sampled_from([1, 2]),
    avoid=st.integers(0, 64),
    limits=st.sampled_from([(0, 2**64 - 1), (0, 0x7FF_FFFF), (0x10_0000, 2**64 - 1)]),
)
def test_every_placement_is_sound(sizes: Sequence[int], protocol: int, avoid: int, limits: tuple[int, int]) -> None:
    facts = Facts.of_pc(256 * MIB, crashkernel=32 * MIB)
    taken = Range(avoid * MIB // 16 + 2 * MIB, avoid * MIB // 16 + 3 * MIB)
    modules = [Module(memoryview(bytes(size)), "m") for size in sizes]
    placement = place(
        multiboot(protocol), facts, PlaceOptions(modules=modules, avoid=[taken], mem_min=limits[0], mem_max=limits[1])
    )
    ranges = [Range(each.mem, each.end) for each in placement.request.segments]
    assert len(ranges) <= KEXEC_SEGMENT_MAX
    for number, each in enumerate(ranges):
        assert each.start % PAGE_SIZE == each.end % PAGE_SIZE == 0
        assert any(ram.contains(each) for ram in facts.system_ram)
        assert limits[0] <= each.start
        assert each.end <= limits[1] + 1
        assert not any(each.overlaps(other) for other in (*facts.crash_kernel, taken, *ranges[:number]))


def test_memory_below_a_mebibyte() -> None:
    entries = [E820Entry(Range(0x1000, 0x9FC00), E820Type.RAM), E820Entry(Range(MIB, 3 * MIB), E820Type.RAM)]
    assert BootInformation(b"", entries).mem_lower == 639
    assert BootInformation(b"", entries).mem_upper == 2048
    assert (BootInformation(b"", []).mem_lower, BootInformation(b"", []).mem_upper) == (0, 0)
    huge = [E820Entry(Range(0, 2**50), E820Type.RAM)]
    assert BootInformation(b"", huge).mem_lower == 640
    assert BootInformation(b"", huge).mem_upper == 0xFFFF_FFFF
    others = replace(entries[1], type=E820Type.ACPI)
    assert BootInformation(b"", [others]).mem_upper == 0

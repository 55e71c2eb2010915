"""struct boot_params, read back by the offsets of zero-page.rst and of the structures that it holds."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmboot.images import BzImage, LoadFlags, XLoadFlags, parse_bzimage
from warmboot.memmap import E820Entry, E820Type, Efi, EfiMemoryDescriptor, Facts, Firmware, Range
from warmboot.placement import Placement, PlaceOptions, place
from warmboot.placement.arch.x86_64.boot_params import BootParams, synthetic_header
from warmboot.purgatory.arch.x86_64.parameters import JUMP_BACK_TEXT_SIZE
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.uapi import PAGE_SIZE, KexecFlags, Segment

GIB = 1 << 30
IMAGE = parse_bzimage(memoryview(demo_kernel()), "demo")
SEED = bytes(range(32))
EFI = Efi(
    loader_signature=b"EL64",
    systab=0x1_7F9E_E018,
    memmap=(
        EfiMemoryDescriptor(5, 0x7E00_0000, 0xFFFF_FFFE_F000_0000, 256, 0x8000_0000_0000_000F),
        EfiMemoryDescriptor(6, 0x7E10_0000, 0xFFFF_FFFE_F010_0000, 16, 0x8000_0000_0000_000F),
    ),
    fw_vendor=0x7E12_3456,
    runtime=0x7E12_0000,
    config_table=0x7E13_0000,
    smbios=0x7D00_0000,
)
SCREEN = bytes(range(1, 65))


def content(segment: Segment) -> bytes:
    return b"".join(map(bytes, segment.buf.pieces(0, segment.bufsz)))


def named(placement: Placement, name: str) -> Segment:
    return next(each for each in placement.request.segments if each.name == name)


@dataclass(frozen=True)
class ReadBack:
    """What a kernel that is entered with `address` finds there."""

    address: int
    data: bytes

    def field(self, offset: int, form: str) -> int:
        return int(struct.unpack_from("<" + form, self.data, offset)[0])

    def wide(self, low: int, high: int) -> int:
        """A number whose halves are 32-bit fields of their own, as ext_ramdisk_image and the like."""
        return self.field(low, "I") | self.field(high, "I") << 32

    def at(self, address: int, size: int) -> bytes:
        assert self.address <= address
        assert address + size <= self.address + len(self.data)
        return self.data[address - self.address :][:size]

    @property
    def command_line(self) -> bytes:
        start = self.wide(0x228, 0xC8) - self.address
        return self.data[start : self.data.index(b"\0", start)]

    def setup_data(self) -> list[tuple[int, bytes]]:
        found, here = [], self.field(0x250, "Q")
        while here:
            following, kind, size = struct.unpack("<QII", self.at(here, 16))
            found.append((kind, self.at(here + 16, size)))
            here = following
        return found

    def e820(self) -> list[tuple[int, int, int]]:
        assert self.data[0x1E8] <= 128
        table = self.data[0x2D0 : 0x2D0 + 20 * self.data[0x1E8]]
        table += b"".join(data for kind, data in self.setup_data() if kind == 1)
        return [(start, size, kind) for start, size, kind in struct.iter_unpack("<QQI", table)]


ENTRIES = st.lists(
    st.builds(
        lambda start, size, kind: E820Entry(Range(start, start + size), kind),
        st.integers(0, 2**52),
        st.integers(1, 2**40),
        st.sampled_from(E820Type),
    ),
    max_size=300,
)


@settings(max_examples=200, deadline=None)
@given(
    e820=ENTRIES | st.integers(120, 140).map(lambda count: [E820Entry(Range(0, 4096), E820Type.RAM)] * count),
    line=st.binary(max_size=2047).map(lambda line: line.replace(b"\0", b" ")),
    initrd=st.sampled_from([(0, 0), (0x3FF00000, 0x100000), (0x1_2345_6000, 0x1_0000_1000)]),
    rsdp=st.sampled_from([0, 0xE0000, 0x7FFFE014]),
    seed=st.sampled_from([b"", SEED]),
    address=st.integers(256, 2**33).map(lambda page: page * PAGE_SIZE),
)
def test_boot_params_read_back(
    e820: Sequence[E820Entry], line: bytes, initrd: tuple[int, int], rsdp: int, seed: bytes, address: int
) -> None:
    parameters = BootParams(
        header=IMAGE.setup,
        command_line=line,
        e820=e820,
        initrd=initrd[0],
        initrd_size=initrd[1],
        rsdp=rsdp,
        rng_seed=seed,
    )
    data = parameters.pack(address)
    assert PAGE_SIZE < len(data) == parameters.size
    seen = ReadBack(address, data)

    assert seen.e820() == [(entry.range.start, entry.range.size, entry.type) for entry in e820]
    assert seen.data[0x1E8] == min(len(e820), 128)
    assert seen.command_line == line
    assert seen.wide(0x218, 0xC0) == initrd[0]
    assert seen.wide(0x21C, 0xC4) == initrd[1]
    assert seen.field(0x70, "Q") == rsdp
    assert [data for kind, data in seen.setup_data() if kind == 9] == ([seed] if seed else [])
    assert all(kind in (1, 9) for kind, _ in seen.setup_data())

    # The header is the file's, but for what the loader writes into it.
    header, file = bytearray(data[0x1F1:0x26C]), bytearray(IMAGE.setup[0x1F1:0x26C])
    assert data[0x202:0x206] == b"HdrS"
    assert data[0x210] == 0xD0
    assert data[0x211] & LoadFlags.LOADED_HIGH
    assert not data[0x211] & LoadFlags.CAN_USE_HEAP
    for offset, size in ((0x210, 1), (0x211, 1), (0x218, 8), (0x228, 4), (0x250, 8)):
        header[offset - 0x1F1 :][:size] = b""
        for each in (header, file):
            each[offset - 0x1F1 : offset - 0x1F1 + size] = bytes(size)
    assert header[: 0x268 - 0x1F1] == file[: 0x268 - 0x1F1]
    # Everything else of the page is zero: the kernel takes what is not to be something.
    spans = [(0x70, 8), (0xC0, 12), (0x1E0, 4), (0x1E8, 1), (0x1F1, 0x26C - 0x1F1), (0x2D0, 128 * 20)]
    rest = bytearray(data[:PAGE_SIZE])
    for offset, size in spans:
        rest[offset : offset + size] = bytes(size)
    assert not any(rest)


def test_a_header_never_reaches_what_follows_it() -> None:
    setup = bytearray(IMAGE.setup)
    setup[0x201] = 0xFF
    setup[0x290:0x302] = b"x" * (0x302 - 0x290)
    page = BootParams(header=bytes(setup), command_line=b"", e820=[]).pack(0x100000)
    assert not any(page[0x290:PAGE_SIZE])


def test_what_a_placement_puts_into_its_parameters() -> None:
    facts = replace(Facts.of_pc(5 * GIB), rsdp=0xF1234)
    placement = place(IMAGE, facts, PlaceOptions(initrds=[memoryview(b"initrd")], command_line="a b", rng_seed=SEED))
    segment = named(placement, "boot parameters")
    assert placement.boot_params == segment.mem
    seen = ReadBack(segment.mem, content(segment))
    initrd = named(placement, "initrd")
    assert (seen.wide(0x218, 0xC0), seen.wide(0x21C, 0xC4)) == (initrd.mem, initrd.bufsz)
    assert seen.command_line == b"a b"
    assert seen.field(0x70, "Q") == 0xF1234
    assert seen.setup_data() == [(9, SEED)]
    assert seen.e820() == [(each.range.start, each.range.size, each.type) for each in facts.e820]


def seen_in(placement: Placement) -> ReadBack:
    segment = named(placement, "boot parameters")
    return ReadBack(segment.mem, content(segment))


FIRMWARE = Firmware(
    boot_params=bytes(each % 251 for each in range(PAGE_SIZE)),
    screen_info=SCREEN,
    efi=EFI,
    edd=tuple(bytes([0x80 + disk]).ljust(82, bytes([disk])) for disk in range(7)),
    edd_mbr_signatures=tuple(range(0x1000_0000, 0x1000_0000 + 20)),
)
KNOWS_EFI = replace(IMAGE, xloadflags=IMAGE.xloadflags | XLoadFlags.EFI_KEXEC)


def test_efi_is_handed_on() -> None:
    seen = seen_in(place(KNOWS_EFI, Facts.of_pc(GIB), PlaceOptions(firmware=FIRMWARE, rng_seed=b"")))
    signature, systab, desc_size, version, memmap, size, systab_hi, memmap_hi = struct.unpack_from(
        "<4s7I", seen.data, 0x1C0
    )
    assert (signature, systab | systab_hi << 32) == (b"EL64", EFI.systab)
    assert (desc_size, version, size) == (40, 1, 80)
    descriptors = struct.iter_unpack("<IIQQQQ", seen.at(memmap | memmap_hi << 32, size))
    assert [(kind, phys, virt, pages, attribute) for kind, _, phys, virt, pages, attribute in descriptors] == [
        (each.type, each.phys_addr, each.virt_addr, each.num_pages, each.attribute) for each in EFI.memmap
    ]
    [(kind, data)] = seen.setup_data()
    assert kind == 4
    assert struct.unpack("<12Q", data) == (EFI.fw_vendor, EFI.runtime, EFI.config_table, EFI.smbios, *[0] * 8)
    assert seen.data[0x1EC] == FIRMWARE.boot_params[0x1EC] != 0  # secure_boot


@pytest.mark.parametrize(
    ("image", "firmware"), [(IMAGE, FIRMWARE), (KNOWS_EFI, replace(FIRMWARE, efi=None))], ids=["old kernel", "noefi"]
)
def test_efi_is_not_handed_on_to_who_would_set_it_up_again(image: BzImage, firmware: Firmware) -> None:
    seen = seen_in(place(image, Facts.of_pc(GIB), PlaceOptions(firmware=firmware, rng_seed=b"")))
    assert not any(seen.data[0x1C0:0x1E0])
    assert seen.setup_data() == []
    assert seen.data[0x1EC] == 0


def test_what_is_on_the_screen() -> None:
    """All of struct screen_info but for two fields that are something else in a boot: ext_mem_k, the old cmdline."""
    seen = seen_in(place(IMAGE, Facts.of_pc(GIB), PlaceOptions(firmware=FIRMWARE)))
    assert seen.data[:64] == SCREEN[:2] + bytes(2) + SCREEN[4:0x20] + bytes(4) + SCREEN[0x24:]
    running = FIRMWARE.boot_params
    seen = seen_in(place(IMAGE, Facts.of_pc(GIB), PlaceOptions(firmware=replace(FIRMWARE, screen_info=b""))))
    assert seen.data[:64] == running[:2] + bytes(2) + running[4:0x20] + bytes(4) + running[0x24:64]
    assert seen.data[0x23C:0x240] == running[0x23C:0x240]  # hardware_subarch
    # APM, IST, drives and the system description table are not handed on: their BIOS calls are gone.
    assert not any(seen.data[0x40:0x70] + seen.data[0x78:0xC0])


@pytest.mark.parametrize("kind", [0x23, 0x70], ids=["VLFB", "EFI"])
def test_a_screen_at_address_0_is_none(kind: int) -> None:
    """As a driver tells it that keeps the address to itself, wherever the structure comes from."""
    screen = bytearray(SCREEN)
    screen[0x0F] = kind
    screen[0x18:0x1C] = screen[0x3A:0x3E] = bytes(4)
    for firmware in (Firmware(screen_info=bytes(screen)), Firmware(boot_params=bytes(screen).ljust(PAGE_SIZE, b"\0"))):
        seen = seen_in(place(IMAGE, Facts.of_pc(GIB), PlaceOptions(firmware=firmware)))
        assert seen.data[0x0F] == 0
        assert not any(seen.data[0x12:0x40])
        assert seen.data[0x07:0x0F] == SCREEN[0x07:0x0F]  # the text console's size
    screen[0x3A] = 1  # above 4 GiB
    seen = seen_in(place(IMAGE, Facts.of_pc(GIB), PlaceOptions(firmware=Firmware(screen_info=bytes(screen)))))
    assert seen.data[0x0F] == kind


def test_edd() -> None:
    seen = seen_in(place(IMAGE, Facts.of_pc(GIB), PlaceOptions(firmware=FIRMWARE)))
    assert (seen.data[0x1E9], seen.data[0x1EA]) == (6, 16)
    assert struct.unpack_from("<16I", seen.data, 0x290) == FIRMWARE.edd_mbr_signatures[:16]
    assert seen.data[0xD00:0xEEC] == b"".join(FIRMWARE.edd[:6])


def test_a_device_tree() -> None:
    dtb = b"\xd0\x0d\xfe\xed and more"
    seen = seen_in(place(IMAGE, Facts.of_pc(GIB), PlaceOptions(dtb=memoryview(dtb), rng_seed=SEED)))
    assert seen.setup_data() == [(2, dtb), (9, SEED)]


def test_everything_at_once_fits_its_segment() -> None:
    e820 = [E820Entry(Range(0x1000 * each, 0x1000 * (each + 1)), E820Type.RAM) for each in range(300)]
    parameters = BootParams(
        header=IMAGE.setup,
        command_line=b"x" * 2047,
        e820=e820,
        initrd=0x1000,
        initrd_size=0x2000,
        rng_seed=SEED,
        dtb=b"tree",
        firmware=FIRMWARE,
        efi=EFI,
        spare=JUMP_BACK_TEXT_SIZE,
    )
    data = parameters.pack(0x7000_0000)
    assert len(data) == parameters.size
    seen = ReadBack(0x7000_0000, data)
    assert [kind for kind, _ in seen.setup_data()] == [1, 4, 2, 9]
    assert seen.e820() == [(each.range.start, 0x1000, 1) for each in e820]
    behind = PAGE_SIZE + 2047
    assert not any(data[behind : behind + JUMP_BACK_TEXT_SIZE])


def test_memory_for_a_kernel_that_cannot_use_a_map() -> None:
    seen = seen_in(place(IMAGE, Facts.of_pc(4 * GIB)))
    assert seen.field(0x1E0, "I") == (2 * GIB - (1 << 20)) >> 10  # alt_mem_k, up to the first hole


def test_a_preserved_context_leaves_room_behind_the_command_line() -> None:
    placement = place(IMAGE, Facts.of_pc(GIB), PlaceOptions(command_line="quiet", preserve_context=True))
    assert placement.request.flags & KexecFlags.PRESERVE_CONTEXT
    seen = seen_in(placement)
    assert seen.command_line == b"quiet"
    first = seen.field(0x250, "Q")
    assert first - (seen.address + PAGE_SIZE + 5) >= JUMP_BACK_TEXT_SIZE


def test_the_header_of_a_kernel_without_one() -> None:
    page = BootParams(header=synthetic_header(2047, 0x37FF_FFFF), command_line=b"a", e820=[]).pack(0x10_0000)
    assert page[0x202:0x206] == b"HdrS"
    assert struct.unpack_from("<H", page, 0x206)[0] == 0x020F
    assert struct.unpack_from("<H", page, 0x1FE)[0] == 0xAA55
    assert struct.unpack_from("<H", page, 0x1F2)[0]  # root_flags: read-only
    assert struct.unpack_from("<I", page, 0x22C)[0] == 0x37FF_FFFF
    assert struct.unpack_from("<I", page, 0x238)[0] == 2047
    assert page[0x210] == 0xD0
    assert page[0x1EF] == 0  # the sentinel: who does not clear it has not read the protocol

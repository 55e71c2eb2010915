"""What is handed on of firmware, side by side with what kexec-tools puts into a kernel's parameters."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.computers import Files, iomem, memmap, small_kernel, told, tree, zero_page
from support.peer import Captured
from warmboot.live.arch.x86_64 import screen
from warmboot.live.arch.x86_64.firmware import boot_params, read_firmware, rsdp
from warmboot.live.efi import systab
from warmboot.memmap import Efi, EfiMemoryDescriptor, Firmware
from warmboot.memmap.firmware import EDD_ENTRY_SIZE

PC = [(0, 0x9FBFF, "System RAM"), (0x9FC00, 0xFFFFF, "Reserved"), (0x100000, 0x3FFFFFFF, "System RAM")]
EFI_INFO = struct.Struct("<4sIIIIIII")
SYSTAB, HIGH = 0x7FBF_E018, 0x2  # an address above 4 GiB, as there may be one
SETUP_EFI = 4

# The running kernel's parameters: screen, RSDP, EFI.
SCREEN = bytes(range(1, 65))
PARAMETERS = bytearray(4096)
PARAMETERS[:64] = SCREEN
PARAMETERS[0x70:0x78] = (0x7FB7_E014).to_bytes(8, "little")
PARAMETERS[0x1C0:0x1E0] = EFI_INFO.pack(b"EL64", SYSTAB, 48, 1, 0x12340000, 48 * 90, HIGH, 0)

RUNTIME = [
    (5, 0x7F8E_C000, 0xFFFF_FFFE_FF0E_C000, 0x100, 0x8000_0000_0000_000F),
    (6, 0x7F9E_C000, 0xFFFF_FFFE_FEE0_0000, 0x77, 0x8000_0000_0000_000F),
    *((11, 0x8000_0000 + (n << 20), 0xFFFF_FFFE_0000_0000 + (n << 20), 0x10, 1) for n in range(11)),
]
EDD_PARAMS = struct.pack("<HHIIIQH", 30, 2, 16383, 16, 63, 41943040, 512) + b"firmware's own".ljust(44, b"\1")


def efi(**changes: str | None) -> Files:
    files: dict[str, str | None] = {
        "systab": "ACPI20=0x7fb7e014\nACPI=0x7fb7e000\nSMBIOS3=0x7f941000\nSMBIOS=0x7f942000\n",
        "fw_vendor": "0x7fbf9e98\n",
        "runtime": "0xfffffffeff0ecb98\n",
        "config_table": "0x7f9ee018\n",
    }
    files |= changes
    found: Files = {f"sys/firmware/efi/{name}": text for name, text in files.items() if text is not None}
    for number, row in enumerate(RUNTIME):
        for name, value in zip(("type", "phys_addr", "virt_addr", "num_pages", "attribute"), row, strict=True):
            found[f"sys/firmware/efi/runtime-map/{number}/{name}"] = f"{value:#x}\n"
    return found


def disk(number: int, *, signature: int | None = None, version: int | None = 0x30) -> Files:
    """/sys/firmware/edd of one disk."""
    base = f"sys/firmware/edd/int13_dev{number:02x}"
    files: Files = {}
    if signature is not None:
        files[f"{base}/mbr_signature"] = f"{signature:#010x}\n"
    if version is not None:
        files[f"{base}/version"] = f"{version:#04x}\n"
    if version:
        files[f"{base}/extensions"] = "Fixed disk access\nEnhanced Disk Drive support\n64-bit extensions\n"
        files[f"{base}/legacy_max_cylinder"] = f"{1000 + number}\n"
        files[f"{base}/legacy_max_head"] = "254\n"
        files[f"{base}/legacy_sectors_per_track"] = "63\n"
        files[f"{base}/raw_data"] = EDD_PARAMS
        files[f"{base}/info_flags"] = "DMA boundary error transparent\n"
    return files


def computer(folder: Path, *parts: Files, parameters: bytes | None = bytes(PARAMETERS)) -> Path:
    """A computer with these files beside its memory."""
    files: Files = {**memmap(PC), **iomem(PC)}
    if parameters is not None:
        files["sys/kernel/boot_params/data"] = parameters
    for each in parts:
        files |= each
    return tree(folder / "root", files)


def word(page: bytes, offset: int, size: int = 4) -> int:
    return int.from_bytes(page[offset : offset + size], "little")


def memory(found: Captured, address: int, size: int) -> bytes:
    """What will lie at a physical address."""
    (piece,) = (each for each in found.load.segments if each.mem <= address < each.mem + each.memsz)
    return piece.data[address - piece.mem :][:size]


def setup_data(found: Captured) -> Iterator[tuple[int, bytes]]:
    """The list behind a zero page: type and bytes of each entry."""
    address = word(zero_page(found), 0x250, 8)
    while address:
        following, kind, size = struct.unpack("<QII", memory(found, address, 16))
        yield kind, memory(found, address + 16, size)
        address = following


def handed_on(found: Captured) -> Efi | None:
    """EFI as kexec-tools hands it on."""
    page = zero_page(found)
    signature, low, size, version, at, total, high, at_high = EFI_INFO.unpack_from(page, 0x1C0)
    if not total:
        assert not any(page[0x1C0:0x1E0])
        assert SETUP_EFI not in dict(setup_data(found))
        return None
    assert size == 40
    raw = memory(found, at | at_high << 32, total)
    rows = (struct.unpack_from("<IIQQQQ", raw, offset) for offset in range(0, total, size))
    memmap = tuple(EfiMemoryDescriptor(kind, phys, virt, pages, bits) for kind, _, phys, virt, pages, bits in rows)
    vendor, runtime, tables, smbios = struct.unpack_from("<4Q", dict(setup_data(found))[SETUP_EFI])
    return Efi(signature, low | high << 32, memmap, vendor, runtime, tables, smbios, version)


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    return small_kernel(tmp_path)


def by_address(efi: Efi | None) -> object:
    """kexec-tools has the map in the order in which the folder is read, its descriptors in 40 bytes each."""
    if efi is None:
        return None
    return {**{name: getattr(efi, name) for name in Efi.__slots__}, "memmap": set(efi.memmap), "memdesc_size": 40}


@pytest.mark.needs_namespaces
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"systab": "ACPI=0x7fb7e000\n"}, True),
        ({"fw_vendor": None}, False),
        ({"config_table": None}, False),
    ],
)
def test_efi(changes: dict[str, str | None], expected: bool, tmp_path: Path, kernel: Path) -> None:
    root = computer(tmp_path, efi(**changes))
    found = read_firmware(str(root)).efi
    assert by_address(found) == by_address(handed_on(told(root, kernel)))
    assert (found is not None) is expected
    if found:
        assert found.systab == SYSTAB | HIGH << 32
        assert [each.num_pages for each in found.memmap] == [row[3] for row in RUNTIME]
        assert found.memmap[0].pack() == struct.pack("<IIQQQQ", 5, 0, *RUNTIME[0][1:])


@pytest.mark.parametrize(("told", "found"), [(40, 40), (48, 48), (0, 40), (39, 40), (1 << 31, 40)])
def test_how_large_firmware_s_descriptors_are(told: int, found: int, tmp_path: Path) -> None:
    parameters = bytearray(PARAMETERS)
    struct.pack_into("<I", parameters, 0x1C8, told)
    read = read_firmware(str(computer(tmp_path, efi(), parameters=bytes(parameters)))).efi
    assert read is not None
    assert read.memdesc_size == found


def test_setup_data_is_told_in_the_list_s_order(tmp_path: Path) -> None:
    base = "sys/kernel/boot_params/setup_data"
    files: Files = {}
    for number, kind, size in ((2, 9, 32), (10, 3, 48), (9, 2, 1000)):
        files |= {f"{base}/{number}/type": f"{kind:#x}\n", f"{base}/{number}/data": bytes(size)}
    assert read_firmware(str(computer(tmp_path, files))).setup_data == ((9, 32), (2, 1000), (3, 48))
    assert read_firmware(str(computer(tmp_path / "other"))).setup_data == ()


@pytest.mark.needs_namespaces
def test_noefi(tmp_path: Path, kernel: Path) -> None:
    root = computer(tmp_path, efi())
    found = told(root, kernel, "--noefi")
    assert read_firmware(str(root), noefi=True).efi is None
    assert handed_on(found) is None
    assert word(zero_page(found), 0x70, 8) == rsdp(str(root)) == 0x7FB7_E014


@pytest.mark.needs_namespaces
@pytest.mark.parametrize(
    ("offset", "value"), [(0x1D4, 0), (0x1CC, 2)], ids=["no memory map", "descriptors of the future"]
)
def test_a_kernel_that_was_started_without_efi(offset: int, value: int, tmp_path: Path, kernel: Path) -> None:
    parameters = bytearray(PARAMETERS)
    struct.pack_into("<I", parameters, offset, value)
    root = computer(tmp_path, efi(), parameters=bytes(parameters))
    assert read_firmware(str(root)).efi is None
    assert handed_on(told(root, kernel)) is None


@pytest.mark.needs_namespaces
def test_no_runtime_map(tmp_path: Path, kernel: Path) -> None:
    files = {name: text for name, text in efi().items() if "runtime-map" not in name}
    root = computer(tmp_path, files)
    assert read_firmware(str(root)).efi is None
    assert handed_on(told(root, kernel)) is None
    whole = computer(tmp_path, efi())
    (whole / "sys/firmware/efi/runtime-map/7/attribute").unlink()
    assert read_firmware(str(whole)).efi is None


@pytest.mark.needs_namespaces
def test_what_kexec_tools_gives_up_efi_for(tmp_path: Path, kernel: Path) -> None:
    """Kernels of Linux 5.7 and later have no need of `runtime`; one day there may be no systab."""
    for name in ("systab", "runtime"):
        root = computer(tmp_path / name, efi(**{name: None}))
        found = read_firmware(str(root)).efi
        assert found
        assert found.memmap
        assert handed_on(told(root, kernel)) is None


@pytest.mark.needs_namespaces
@pytest.mark.parametrize(
    ("told_by_loader", "text", "expected"),
    [
        (0x7FB7_E014, "ACPI20=0x1000\nACPI=0x2000\n", 0x7FB7_E014),
        (0, "MPS=0x3000\nACPI20=0x1000\nACPI=0x2000\n", 0x1000),
        (0, "ACPI=0x2000\n", 0x2000),
        (0, "SMBIOS=0x2000\nACPI20\n", 0),
        (0, None, 0),
    ],
)
def test_rsdp(told_by_loader: int, text: str | None, expected: int, tmp_path: Path, kernel: Path) -> None:
    parameters = bytearray(PARAMETERS)
    struct.pack_into("<Q", parameters, 0x70, told_by_loader)
    root = computer(tmp_path, efi(systab=text), parameters=bytes(parameters))
    assert rsdp(str(root)) == expected
    assert word(zero_page(told(root, kernel)), 0x70, 8) == expected


def test_systab(tmp_path: Path) -> None:
    root = computer(tmp_path, efi())
    assert systab(str(root)) == {
        "ACPI20": 0x7FB7_E014,
        "ACPI": 0x7FB7_E000,
        "SMBIOS3": 0x7F94_1000,
        "SMBIOS": 0x7F94_2000,
    }
    assert systab(str(tmp_path)) == {}


def edd_of(page: bytes) -> tuple[list[bytes], list[int]]:
    """eddbuf and edd_mbr_sig_buffer of a zero page."""
    entries = [page[0xD00 + EDD_ENTRY_SIZE * n :][:EDD_ENTRY_SIZE] for n in range(page[0x1E9])]
    return entries, [word(page, 0x290 + 4 * n) for n in range(page[0x1EA])]


@pytest.mark.needs_namespaces
@pytest.mark.parametrize(
    "disks",
    [
        [disk(0x80, signature=0xDEADBEEF)],
        [disk(0x80, signature=0xDEADBEEF), disk(0x81, signature=0x12345678, version=0x21)],
        [disk(0x80, version=0), disk(0x81)],
        [],
    ],
)
def test_edd(disks: list[Files], tmp_path: Path, kernel: Path) -> None:
    root = computer(tmp_path, *disks)
    found = read_firmware(str(root))
    entries, signatures = edd_of(zero_page(told(root, kernel)))
    assert sorted(found.edd) == sorted(entries)  # kexec-tools has them in the order of the folder
    assert sorted(found.edd_mbr_signatures) == sorted(signatures)
    assert list(found.edd) == sorted(found.edd)
    assert len(found.edd) == len(disks)


def test_where_the_kernel_looks_for_a_disks_signature(tmp_path: Path) -> None:
    """At the disk's own place; kexec-tools lets later disks move up."""
    root = computer(tmp_path, disk(0x80), disk(0x81, signature=0x11111111), disk(0x83, signature=0x33333333))
    assert read_firmware(str(root)).edd_mbr_signatures == (0, 0x11111111, 0, 0x33333333)


@pytest.mark.needs_namespaces
def test_more_disks_than_have_room(tmp_path: Path, kernel: Path) -> None:
    """Six disks have entries, sixteen have signatures; kexec-tools drops all for the seventh, which has no entry."""
    disks = [disk(0x80 + n, signature=n + 1, version=0x30 if n < 6 else None) for n in range(18)]
    root = computer(tmp_path, *disks)
    found = read_firmware(str(root))
    assert [each[0] for each in found.edd] == list(range(0x80, 0x86))
    assert found.edd_mbr_signatures == tuple(range(1, 17))
    assert edd_of(zero_page(told(root, kernel))) == ([], [])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("raw_data", EDD_PARAMS[:20]),
        ("raw_data", b""),
        ("legacy_max_head", "many\n"),
        ("legacy_max_head", "300\n"),
    ],
)
def test_a_damaged_disk(name: str, content: str | bytes, tmp_path: Path) -> None:
    root = computer(tmp_path, disk(0x80, signature=1), {f"sys/firmware/edd/int13_dev80/{name}": content})
    found = read_firmware(str(root))
    assert (found.edd, found.edd_mbr_signatures) == ((), ())


@pytest.mark.needs_namespaces
def test_edd_without_its_driver(tmp_path: Path, kernel: Path) -> None:
    """The running kernel still has what firmware told it; kexec-tools only looks at what the driver shows."""
    parameters = bytearray(PARAMETERS)
    parameters[0x1E9:0x1EB] = 2, 3
    disks = [bytes([0x80 + n]) * EDD_ENTRY_SIZE for n in range(2)]
    parameters[0xD00 : 0xD00 + 2 * EDD_ENTRY_SIZE] = b"".join(disks)
    struct.pack_into("<3I", parameters, 0x290, 0xDEADBEEF, 0, 1)
    root = computer(tmp_path, parameters=bytes(parameters))
    found = read_firmware(str(root))
    assert (list(found.edd), list(found.edd_mbr_signatures)) == edd_of(bytes(parameters))
    assert found.edd == tuple(disks)
    assert edd_of(zero_page(told(root, kernel))) == ([], [])
    parameters[0x1E9:0x1EB] = 255, 255
    (root / "sys/kernel/boot_params/data").write_bytes(parameters)
    found = read_firmware(str(root))
    assert (len(found.edd), len(found.edd_mbr_signatures)) == (6, 16)


@pytest.mark.needs_namespaces
def test_the_screen_is_the_running_kernels(tmp_path: Path, kernel: Path) -> None:
    """Without a frame buffer; kexec-tools puts memory sizes and its command line's place into the same bytes."""
    root = computer(tmp_path)
    found = read_firmware(str(root))
    assert found.screen_info == b""
    assert found.boot_params[:64] == SCREEN
    page = zero_page(told(root, kernel))
    assert page[:2] + page[4:0x20] + page[0x24:0x40] == SCREEN[:2] + SCREEN[4:0x20] + SCREEN[0x24:]


def test_nothing_at_all(tmp_path: Path) -> None:
    assert read_firmware(str(tmp_path)) == Firmware()
    assert rsdp(str(tmp_path)) == 0


def test_older_kernels_show_their_parameters_to_debuggers(tmp_path: Path) -> None:
    root = tree(tmp_path, {"sys/kernel/debug/boot_params/data": bytes(PARAMETERS)})
    assert boot_params(str(root)) == bytes(PARAMETERS)


def test_this_computers_own() -> None:
    found = read_firmware()
    assert len(found.boot_params) == 4096
    assert found.boot_params[0x1E8] > 0  # entries of its memory map


# --- the frame buffer: what drivers answer (include/uapi/linux/fb.h) -------------------------------------------------

MODE = (1024, 768, 1024, 768, 0, 0)


def fb(name: bytes, address: int = 0xC000_0000, size: int = 3 << 20, *, depth: int = 32, visual: int = 2) -> screen.Fb:
    """What a driver tells of 1024x768."""
    fix = struct.pack("<16sQIIIIHHH2xI4xQIIH6x", name, address, size, 0, 0, visual, 1, 1, 0, 4096, 0, 0, 0, 0)
    colours = [(16, 8), (8, 8), (0, 8), (24, 8)] if depth == 32 else [(11, 5), (5, 6), (0, 5), (0, 0)]
    var = struct.pack("<6III", *MODE, depth, 0) + b"".join(struct.pack("<III", at, bits, 0) for at, bits in colours)
    return fix, var.ljust(160, b"\0")


def test_the_structures_are_as_long_as_the_kernels() -> None:
    assert [len(each) for each in fb(b"")] == [80, 160]


@pytest.mark.parametrize("at", [(0, 48), (1, 0), (1, 24), (1, 32)])
def test_a_screen_of_absurd_sizes_is_none(at: tuple[int, int]) -> None:
    """What struct screen_info has no room for (its pitch, width, depth, the place of red) is not handed on."""
    part, offset = at
    told = [bytearray(each) for each in fb(b"EFI VGA")]
    struct.pack_into("<I", told[part], offset, 1 << 20)
    info = screen.screen_info((bytes(told[0]), bytes(told[1])), bytes(PARAMETERS))
    assert (info[15], word(info, 0x18)) == (0, 0)


@pytest.mark.parametrize(("name", "kind", "size"), [(b"VESA VGA", 0x23, 48), (b"EFI VGA", 0x70, 3 << 20)])
def test_firmwares_frame_buffer(name: bytes, kind: int, size: int) -> None:
    """lfb_size is in 64 KiB for VESA, in bytes for EFI (drivers/firmware/sysfb.c)."""
    info = screen.screen_info(fb(name), bytes(PARAMETERS))
    assert len(info) == 64
    assert (info[7], info[14], info[15], word(info, 0x10, 2)) == (80, 25, kind, 16)
    assert [word(info, offset, 2) for offset in (0x12, 0x14, 0x16)] == [1024, 768, 32]
    assert [word(info, offset) for offset in (0x18, 0x1C)] == [0xC000_0000, size]
    assert [word(info, offset, 2) for offset in (0x24, 0x32)] == [4096, 768]
    assert list(info[0x26:0x2E]) == [8, 16, 8, 8, 8, 0, 8, 24]
    assert word(info, 0x36) == 0


@pytest.mark.parametrize(("kind", "expected"), [(0x70, 1), (0x23, 0)])
def test_quirks_stay_as_firmware_had_them(kind: int, expected: int) -> None:
    """VIDEO_CAPABILITY_SKIP_QUIRKS of the running kernel's screen, where it is the same one; kexec-tools loses it."""
    parameters = bytearray(PARAMETERS)
    parameters[0x0F], parameters[0x36] = kind, 5
    assert word(screen.screen_info(fb(b"EFI VGA", 0x38_0000_0000), bytes(parameters)), 0x36) == 2 | expected


def test_a_frame_buffer_above_4_gib() -> None:
    info = screen.screen_info(fb(b"EFI VGA", 0x38_0000_0000), b"")
    assert (word(info, 0x18), word(info, 0x36), word(info, 0x3A)) == (0, 2, 0x38)


def test_the_frame_buffer_of_another_driver() -> None:
    foreign = fb(b"virtio_gpudrmfb")
    assert screen.screen_info(foreign, bytes(PARAMETERS)) == bytes([*bytes(7), 80, *bytes(6), 25, 0, 16, *bytes(47)])
    info = screen.screen_info(foreign, bytes(PARAMETERS), reuse_video_type=True)
    assert info[15] == PARAMETERS[15]
    assert word(info, 0x18) == 0xC000_0000
    assert screen.screen_info(foreign, b"", reuse_video_type=True)[15] == 1


def test_a_screen_that_is_not_handed_on_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with --reuse-video-type, where the driver keeps the address to itself: at 0 there is no screen."""
    said: list[str] = []
    for reuse in (False, True):
        monkeypatch.setattr(screen, "read_fb", lambda _: fb(b"i915drmfb", 0, 0))
        found = read_firmware(str(computer(tmp_path / str(reuse))), reuse_video_type=reuse, tell=said.append)
        assert (found.screen_info[15], word(found.screen_info, 0x18)) == (0, 0)
    line = "the screen is not handed on: it is the driver i915drmfb's, and stays dark until its next driver"
    assert said == [line] * 2
    monkeypatch.setattr(screen, "read_fb", lambda _: fb(b"EFI VGA"))
    read_firmware(str(tmp_path / "True"), tell=said.append)
    assert len(said) == 2


@given(fix=st.binary(min_size=80, max_size=80), var=st.binary(min_size=160, max_size=160), reuse=st.booleans())
@example(fix=fb(b"EFI VGA")[0], var=struct.pack("<II", 70000, 768).ljust(160, b"\0"), reuse=False)
def test_whatever_a_driver_answers(fix: bytes, var: bytes, reuse: bool) -> None:
    assert len(screen.screen_info((fix, var), bytes(PARAMETERS), reuse_video_type=reuse)) in {0, 64}
    screen.frame_buffer((fix, var))


def test_what_does_not_fit_is_told_and_the_rest_is_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    wide = (fb(b"EFI VGA")[0], struct.pack("<II", 70000, 768).ljust(160, b"\0"))
    monkeypatch.setattr(screen, "read_fb", lambda _: wide)
    found = read_firmware(str(computer(tmp_path)), tell=said.append)
    assert (found.screen_info, len(found.boot_params)) == (screen.NO_SCREEN, 4096)
    assert "EFI VGA" in said[0]


def test_parameters_that_are_cut_are_none(tmp_path: Path) -> None:
    root = tree(tmp_path, {"sys/kernel/boot_params/data": bytes(PARAMETERS)[:15]})
    assert read_firmware(str(root)) == Firmware()


@pytest.mark.parametrize("name", [b"simpledrmdrmfb", b"efidrmdrmfb", b"vesadrmdrmfb"])
def test_drivers_that_leave_the_screen_as_firmware_made_it(name: bytes) -> None:
    assert screen.screen_info(fb(name, 0, 0), bytes(PARAMETERS)) == b""


def test_a_frame_buffer_for_multiboot() -> None:
    found = screen.frame_buffer(fb(b"EFI VGA", depth=16))
    assert found
    assert (found.address, found.pitch, found.width, found.height) == (0xC000_0000, 4096, 1024, 768)
    assert (found.bits_per_pixel, found.red, found.green, found.blue) == (16, (11, 5), (5, 6), (0, 5))
    assert screen.frame_buffer(fb(b"EFI VGA", visual=3)) is None
    assert screen.frame_buffer(fb(b"simpledrmdrmfb", 0, 0)) is None
    assert screen.frame_buffer(None) is None


def test_what_is_no_frame_buffer(tmp_path: Path) -> None:
    assert screen.read_fb(str(tmp_path)) is None
    assert screen.read_fb(str(tree(tmp_path, {"dev/fb0": "a file"}))) is None

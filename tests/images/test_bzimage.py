"""What a kernel's file says of itself: Debian's kernels, the demo kernel, and headers with any content."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.formats import from_debian, samples
from warmboot.debian import KERNELS, kernel, release
from warmboot.errors import InputError, RefusedError, WarmbootError
from warmboot.images import (
    BzImage,
    LoadFlags,
    XLoadFlags,
    anonymous_file,
    identify,
    identify_bytes,
    map_file,
    parse_bzimage,
)
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel

# What Debian compresses each kernel with.
COMPRESSIONS = {"5.10": "lz4", "6.1": "lz4", "6.12": "zstd", "7.2": "zstd"}


def bzimage(data: bytes, name: str = "demo") -> BzImage:
    """The bzImage in `data`."""
    image = identify_bytes(memoryview(data), name)
    assert isinstance(image, BzImage)
    return image


@pytest.mark.parametrize("series", KERNELS)
def test_debians_kernels(series: str) -> None:
    path = kernel(series)
    data = path.read_bytes()
    image = identify(path)
    assert isinstance(image, BzImage)

    def field(offset: int, form: str) -> int:
        return int(struct.unpack_from("<" + form, data, offset)[0])

    assert (image.name, image.kind, image.wrapping) == (str(path), "bzImage64", ())
    assert image.version.split(" ")[0] == release(path)
    assert image.protocol == field(0x206, "H") >= 0x020F
    assert image.protocol_text == "2.15"
    setup = (1 + field(0x1F1, "B")) * 512
    assert bytes(image.setup) == data[:setup]
    assert bytes(image.kernel) == data[setup : setup + field(0x1F4, "I") * 16]
    assert image.file == data
    assert XLoadFlags.KERNEL_64 | XLoadFlags.CAN_BE_LOADED_ABOVE_4G in image.xloadflags
    assert image.above_4g
    assert image.relocatable
    assert image.kernel_alignment == field(0x230, "I") == 2 << 20
    assert image.pref_address == field(0x258, "Q") == 16 << 20
    assert image.init_size == field(0x260, "I") > len(image.kernel)
    assert image.initrd_addr_max == field(0x22C, "I") == 0x7FFFFFFF
    assert image.cmdline_size == 2047
    assert LoadFlags.LOADED_HIGH in LoadFlags(data[0x211])
    assert image.compression == COMPRESSIONS[series]


def test_the_demo_kernel() -> None:
    image = bzimage(demo_kernel())
    assert image.version.startswith("0.1.0-warmboot-demo ")
    assert (image.relocatable, image.above_4g, image.pref_address) == (True, True, 16 << 20)


# --- older protocols, and kernels that are not Linux ---------------------------------------------------------------

MIB = 1 << 20

# Package, file, protocol, version, whether the size is in the header, initrd_addr_max, cmdline_size.
OTHERS = [
    ("syslinux-common", "usr/lib/syslinux/memdisk", 0x0203, "MEMDISK ", False, 0xFFFFFFFF, 255),
    ("ipxe", "boot/ipxe.lkrn", 0x0207, "1.0.0+git", True, 0xFFFFFFFF, 2047),
    ("memtest86+", "boot/memtest86+x64.bin", 0x020C, "Memtest86+ v6", True, 0xFFFFFFFF, 255),
    ("memtest86+", "boot/memtest86+ia32.bin", 0x020C, "Memtest86+ v6", True, 0xFFFFFFFF, 255),
]


@pytest.mark.parametrize(
    ("package", "path", "protocol", "version", "sized", "initrd_addr_max", "cmdline_size"),
    OTHERS,
    ids=lambda each: each,
)
def test_old_protocols_are_entered_in_32_bit_mode(
    package: str, path: str, protocol: int, version: str, sized: bool, initrd_addr_max: int, cmdline_size: int
) -> None:
    image = identify(from_debian(package, path))
    assert isinstance(image, BzImage)
    assert (image.kind, image.protocol, image.initrd_addr_max) == ("bzImage", protocol, initrd_addr_max)
    assert image.version.startswith(version)
    assert image.cmdline_size == cmdline_size
    assert (image.relocatable, image.above_4g, image.pref_address) == (False, False, MIB)
    assert image.init_size >= len(image.kernel)
    rest = len(image.file) - len(image.setup)
    assert len(image.kernel) == rest
    if sized:  # rounded up beyond the end of the file
        assert rest <= struct.unpack_from("<I", image.file, 0x1F4)[0] * 16 < rest + 16


def test_what_a_protocol_has_not_yet_is_what_it_implies() -> None:
    data = bytearray(demo_kernel())
    struct.pack_into("<H", data, 0x206, 0x0200)
    image = bzimage(bytes(data))
    assert (image.initrd_addr_max, image.cmdline_size) == (0x37FFFFFF, 255)
    assert (image.relocatable, image.kernel_alignment, image.xloadflags) == (False, 1, XLoadFlags(0))
    assert (image.compression, image.init_size) == ("unknown", 3 * len(image.kernel))
    struct.pack_into("<H", data, 0x206, 0x020B)
    image = bzimage(bytes(data))
    assert (image.kind, image.xloadflags, image.above_4g) == ("bzImage", XLoadFlags(0), False)


def test_a_kernel_for_64_bits_may_be_asked_for_as_one_for_32() -> None:
    assert identify_bytes(memoryview(demo_kernel()), "demo", "bzImage").kind == "bzImage"
    assert identify_bytes(memoryview(demo_kernel()), "demo", "bzImage64").kind == "bzImage64"


def test_a_zimage_is_refused() -> None:
    data = bytearray(demo_kernel())
    data[0x211] &= ~LoadFlags.LOADED_HIGH
    with pytest.raises(RefusedError, match="a zImage"):
        bzimage(bytes(data))


def test_a_header_with_few_setup_sectors_means_four() -> None:
    """boot.rst: for backwards compatibility, setup_sects 0 means 4."""
    data = bytearray(demo_kernel().ljust(8192, b"\0"))
    data[0x1F1] = 0
    struct.pack_into("<I", data, 0x1F4, 4)
    image = bzimage(bytes(data))
    assert len(image.setup) == 5 * 512
    assert len(image.kernel) == 64


def test_a_version_is_printable() -> None:
    data = bytearray(demo_kernel())
    start = struct.unpack_from("<H", data, 0x20E)[0] + 0x200
    for text, shown in ((b"6.1\x1b[31m\xff\n\0", "6.1?[31m\ufffd?"), (b"\0", "unknown")):
        data[start : start + len(text)] = text
        assert bzimage(bytes(data)).version == shown
    for offset in (0, 0xFFFF):
        struct.pack_into("<H", data, 0x20E, offset)
        assert bzimage(bytes(data)).version in ("unknown", shown) or offset == 0


HEADER = (0x1F1, 0x270)


@settings(max_examples=500, deadline=None)
@given(
    changes=st.dictionaries(st.integers(*HEADER), st.integers(0, 255), max_size=12),
    size=st.none() | st.integers(0, len(demo_kernel()) + 100),
)
def test_any_header_is_understood_or_refused(changes: dict[int, int], size: int | None) -> None:
    data = bytearray(demo_kernel())
    for offset, value in changes.items():
        data[offset] = value
    data = data[:size] if size is None or size <= len(data) else data.ljust(size, b"\0")
    refused: WarmbootError | None = None
    try:
        image = parse_bzimage(memoryview(data), "file")
    except (InputError, RefusedError) as error:
        refused = error
    if refused is not None:
        assert str(refused).startswith("file: ")
        assert refused.hint
        return
    assert 0 < len(image.kernel) <= image.init_size
    assert len(image.setup) + len(image.kernel) <= len(data)
    assert image.kernel_alignment.bit_count() == 1
    assert image.version.isprintable()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=0x400))
def test_any_bytes_are_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        identify_bytes(memoryview(data), "file")
    assert str(caught.value).startswith("file: ")
    assert caught.value.hint


# --- what is imported ----------------------------------------------------------------------------------------------

HEAVY = {"elftools", "zstandard", "lz4", "lzma", "zlib", "json", "pathlib", "numpy", "typing", "warmboot.images.elf"}


def imported(statement: str) -> set[str]:
    """The modules that a new interpreter has after `statement`."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split())


def test_a_format_is_paid_for_by_whom_it_concerns(tmp_path: Path) -> None:
    assert {each for each in imported("import warmboot.images") if each.startswith("warmboot.images.")} == set()
    for name, extra in (("bzImage", set()), ("elf32", {"warmboot.images.elf"}), ("gzip", {"zlib"})):
        path = tmp_path / "kernel"
        path.write_bytes(samples()[name])
        loaded = imported(f"from warmboot.images import identify; identify({str(path)!r})")
        assert loaded & HEAVY == extra


def test_every_exported_name_is_there() -> None:
    from warmboot import images  # noqa: PLC0415

    for name in images.__all__:
        assert getattr(images, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(images, "nothing")  # noqa: B009 - a type checker knows that there is none


# --- files ---------------------------------------------------------------------------------------------------------


def test_a_mapped_file_is_read_only_and_outlives_its_name(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    view = map_file(path)
    path.unlink()
    assert view.readonly
    assert bytes(view) == b"content"


def test_an_anonymous_file_holds_what_it_was_given() -> None:
    descriptor = anonymous_file(memoryview(b"content"))
    try:
        assert os.pread(descriptor, 100, 0) == b"content"
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


def test_files_that_cannot_be_mapped_leave_nothing_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").touch()
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for name, words in (
        ("fifo", "no regular file"),
        ("empty", "the initrd is empty"),
        (".", "no regular file"),
        ("missing", "initrd cannot be read: No such file or directory"),
        ("loop", "initrd cannot be read: Too many levels of symbolic links"),
        ("empty/below", "initrd cannot be read: Not a directory"),
        ("zero\0byte", "no file name"),
    ):
        with pytest.raises(InputError) as caught:
            map_file(tmp_path / name, "initrd")
        assert words in str(caught.value)
        assert caught.value.hint
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208

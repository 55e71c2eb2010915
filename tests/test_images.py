"""What a kernel's file says of itself: Debian's kernels, the demo kernel, and headers with any content."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmboot.debian import KERNELS, kernel, release
from warmboot.errors import InputError
from warmboot.images import LoadFlags, XLoadFlags, identify, identify_bytes, map_file
from warmboot.purgatory import demo_kernel

# What Debian compresses each kernel with.
COMPRESSIONS = {"5.10": "lz4", "6.1": "lz4", "6.12": "zstd", "7.2": "zstd"}


@pytest.mark.parametrize("series", KERNELS)
def test_debians_kernels(series: str) -> None:
    path = kernel(series)
    data = path.read_bytes()
    image = identify(path)

    def field(offset: int, form: str) -> int:
        return int(struct.unpack_from("<" + form, data, offset)[0])

    assert image.name == str(path)
    assert image.version.split(" ")[0] == release(path)
    assert image.protocol == field(0x206, "H") >= 0x020F
    assert image.protocol_text == "2.15"
    setup = (1 + field(0x1F1, "B")) * 512
    assert bytes(image.setup) == data[:setup]
    assert bytes(image.kernel) == data[setup : setup + field(0x1F4, "I") * 16]
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
    image = identify_bytes(memoryview(demo_kernel()), "demo")
    assert image.version.startswith("0.1.0-warmboot-demo ")
    assert (image.relocatable, image.above_4g, image.pref_address) == (True, True, 16 << 20)


def test_a_header_with_few_setup_sectors_means_four() -> None:
    """boot.rst: for backwards compatibility, setup_sects 0 means 4."""
    data = bytearray(demo_kernel().ljust(8192, b"\0"))
    data[0x1F1] = 0
    struct.pack_into("<I", data, 0x1F4, 4)
    image = identify_bytes(memoryview(data), "demo")
    assert len(image.setup) == 5 * 512
    assert len(image.kernel) == 64


def test_protocols_without_xloadflags_have_none() -> None:
    data = bytearray(demo_kernel())
    struct.pack_into("<H", data, 0x206, 0x020B)
    image = identify_bytes(memoryview(data), "demo")
    assert image.xloadflags == XLoadFlags(0)
    assert not image.above_4g


def test_a_version_is_printable() -> None:
    data = bytearray(demo_kernel())
    start = struct.unpack_from("<H", data, 0x20E)[0] + 0x200
    for text, shown in ((b"6.1\x1b[31m\xff\n\0", "6.1?[31m\ufffd?"), (b"\0", "unknown")):
        data[start : start + len(text)] = text
        assert identify_bytes(memoryview(data), "demo").version == shown
    for offset in (0, 0xFFFF):
        struct.pack_into("<H", data, 0x20E, offset)
        assert identify_bytes(memoryview(data), "demo").version in ("unknown", shown) or offset == 0


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
    refused: InputError | None = None
    try:
        image = identify_bytes(memoryview(data), "file")
    except InputError as error:
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


# --- files ---------------------------------------------------------------------------------------------------------


def test_a_mapped_file_is_read_only_and_outlives_its_name(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    view = map_file(path)
    path.unlink()
    assert view.readonly
    assert bytes(view) == b"content"


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


def test_an_elf_file_is_told_by_its_machine_and_entry() -> None:
    data = memoryview(Path(sys.executable).resolve().read_bytes())
    entry = struct.unpack_from("<Q", data, 0x18)[0]
    with pytest.raises(InputError, match=rf"an ELF (program|shared object) for x64, entered at {entry:#x}, no bzImage"):
        identify_bytes(data, "python")


@given(st.binary(max_size=128))
def test_any_bytes_behind_elf_s_magic_are_one_clean_error(rest: bytes) -> None:
    with pytest.raises(InputError, match="ELF"):
        identify_bytes(memoryview(b"\x7fELF" + rest), "odd")

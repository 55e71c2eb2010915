"""Packed files: every method, alone and in one another, cut, damaged, endless, and large."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import struct
import subprocess
import sys
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from elftools.elf.elffile import ELFFile

from support.formats import COMPRESSIONS, samples, vmlinux, zboot
from warmboot.debian import KERNELS
from warmboot.errors import InputError, MissingToolError, RefusedError
from warmboot.images import BzImage, ElfImage, UnknownFormatError, decompressed, identify_bytes
from warmboot.images.decompress import compression
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel

KIB, MIB = 1 << 10, 1 << 20
DATA = b"".join(struct.pack("<Q", each * 0x9E3779B97F4A7C15 & (1 << 40) - 1) for each in range(70_000))


def unpacked(data: bytes, limit: int | None = None) -> bytes:
    """What `data` unpacks to."""
    return bytes(decompressed(memoryview(data), "file", limit=limit))


# --- what is right -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", COMPRESSIONS)
@pytest.mark.parametrize("size", [1, 255, 256 * KIB, len(DATA)])
def test_every_method(method: str, size: int) -> None:
    packed = COMPRESSIONS[method](DATA[:size])
    assert compression(memoryview(packed)) == method.removesuffix(" stream")
    view = decompressed(memoryview(packed), "file")
    assert view == DATA[:size]
    assert view.readonly


def test_what_is_not_packed_is_left_alone() -> None:
    for data in (b"", b"\x1f", DATA, demo_kernel(), bytes(4096), b"\xff" * 4096, samples()["elf64"]):
        view = memoryview(data)
        assert decompressed(view, "file") is view


@pytest.mark.parametrize("method", [each for each in COMPRESSIONS if each != "lzma"])
def test_files_that_were_joined(method: str) -> None:
    one, other = DATA[: 300 * KIB + 3], DATA[300 * KIB :]
    assert unpacked(COMPRESSIONS[method](one) + COMPRESSIONS[method](other)) == one + other


def test_frames_that_hold_nothing_for_us() -> None:
    skippable = struct.pack("<II", 0x184D2A53, 7) + b"comment"
    zstd = COMPRESSIONS["zstd"]
    assert unpacked(zstd(b"one") + skippable + zstd(b"") + zstd(b"two")) == b"onetwo"


@pytest.mark.parametrize("method", COMPRESSIONS)
def test_zeros_and_linux_s_own_size_may_follow(method: str) -> None:
    packed = COMPRESSIONS[method](DATA)
    assert unpacked(packed + bytes(4096)) == DATA
    assert unpacked(packed + struct.pack("<I", len(DATA))) == DATA


@pytest.mark.parametrize("method", COMPRESSIONS)
def test_anything_else_that_follows(method: str) -> None:
    packed = COMPRESSIONS[method](DATA) + b"something else"
    if method == "gzip":  # gzip(1) warns, zlib and so kexec-tools say nothing
        assert unpacked(packed) == DATA
        return
    with pytest.raises(InputError, match=r"something else|unusable|cut short"):
        unpacked(packed)


@pytest.mark.parametrize("series", KERNELS)
def test_what_linux_packs_itself_with(series: str) -> None:
    """The payloads of Debian's kernels: `lz4 -l`, and zstd at its best, each followed by the size."""
    assert bytes(vmlinux(series)[:4]) == b"\x7fELF"


# --- in one another ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "wrapping"), [(each, (each.removesuffix(" stream"),)) for each in COMPRESSIONS])
def test_a_packed_kernel(name: str, wrapping: tuple[str, ...]) -> None:
    image = identify_bytes(memoryview(samples()[name]), "kernel")
    assert isinstance(image, BzImage)
    assert (image.wrapping, bytes(image.file)) == (wrapping, demo_kernel())


def test_zboot() -> None:
    for name, wrapping in (("zboot", ("zboot", "zstd")), ("twice", ("gzip", "zboot", "xz"))):
        image = identify_bytes(memoryview(samples()[name]), "kernel")
        assert isinstance(image, BzImage)
        assert (image.wrapping, bytes(image.file)) == (wrapping, demo_kernel())


def test_zboot_images_that_cannot_be_unpacked() -> None:
    whole = samples()["zboot"]
    for data, words in (
        (zboot(b"\x89LZO" + bytes(100), "lzo"), "packed with 'lzo', which cannot be unpacked"),
        (zboot(b"", "gzip"), "the zboot payload is 0 bytes"),
        (whole[:-1], "cut short: the zboot payload"),
        (whole[:40], "cut short within the zboot header"),
    ):
        with pytest.raises(InputError, match=words):
            identify_bytes(memoryview(data), "kernel")


def test_an_arm64_zboot_image_is_of_the_wrong_architecture() -> None:
    kernel = b"MZ".ljust(0x38, b"\0") + b"ARM\x64" + bytes(8000)
    with pytest.raises(UnknownFormatError, match=r"wrong architecture: an arm64 Image \(within gzip, zboot\)"):
        identify_bytes(memoryview(zboot(gzip.compress(kernel), "gzip")), "kernel")


def test_packed_again_and_again() -> None:
    data = demo_kernel()
    for _ in range(5):
        data = gzip.compress(data, 1)
    assert identify_bytes(memoryview(data), "kernel").wrapping == ("gzip",) * 5
    with pytest.raises(InputError, match="packed more than 5 times"):
        identify_bytes(memoryview(gzip.compress(data)), "kernel")


def test_a_packed_initrd_is_told() -> None:
    with pytest.raises(UnknownFormatError, match="a cpio archive") as caught:
        identify_bytes(memoryview(gzip.compress(b"070701" + bytes(1000))), "initrd.img")
    assert "--initrd" in caught.value.hint


# --- what is wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", COMPRESSIONS)
def test_cut_short_anywhere(method: str) -> None:
    packed = COMPRESSIONS[method](DATA)
    for size in {*range(14, 64), *range(64, len(packed), len(packed) // 50), len(packed) - 1}:
        with pytest.raises(InputError) as caught:
            unpacked(packed[:size])
        assert str(caught.value).startswith("file: the ")
        assert caught.value.hint


@pytest.mark.parametrize("method", ["gzip", "zstd", "xz", "lz4"])
def test_damage_is_noticed(method: str) -> None:
    """These formats have a checksum: what is unpacked is what was packed, or refused."""
    packed = (
        zstandard.ZstdCompressor(write_checksum=True).compress(DATA)
        if method == "zstd"
        else lz4.frame.compress(DATA, content_checksum=True)
        if method == "lz4"
        else COMPRESSIONS[method](DATA)
    )
    noticed = 0
    for at in range(16, len(packed), len(packed) // 40):
        changed = bytearray(packed)
        changed[at] ^= 0x10
        try:
            same = unpacked(bytes(changed)) == DATA
        except InputError:
            noticed += 1
        else:
            assert same
    assert noticed >= 20


def test_nothing_packed() -> None:
    for method in ("gzip", "zstd", "xz", "lz4"):
        with pytest.raises(InputError, match="empty"):
            unpacked(COMPRESSIONS[method](b""))


def lie_of_zstd() -> bytes:
    """A frame that says it holds 1 TiB, and holds a byte."""
    header = b"\x28\xb5\x2f\xfd" + bytes([0xE0]) + struct.pack("<Q", 1 << 40)
    return header + (1 | 0 << 1 | 1 << 3).to_bytes(3, "little") + b"x"


def test_a_size_that_is_a_lie() -> None:
    with pytest.raises(InputError, match="a frame holds less than it says"):
        unpacked(lie_of_zstd())
    alone = bytearray(COMPRESSIONS["lzma"](DATA))
    struct.pack_into("<Q", alone, 5, len(DATA) + 1)
    with pytest.raises(InputError):
        unpacked(bytes(alone))


def bomb(method: str) -> bytes:
    """64 MiB of zeros, packed."""
    zeros = bytes(64 * MIB)
    return COMPRESSIONS[method](zeros)


@pytest.mark.parametrize("method", COMPRESSIONS)
def test_a_bomb_does_not_go_off(method: str) -> None:
    packed = bomb(method)
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    with pytest.raises(RefusedError, match="file: more than 16 MiB when unpacked") as caught:
        unpacked(packed, limit=16 * MIB)
    assert "strip" in caught.value.hint
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208
    assert len(decompressed(memoryview(packed), "file")) == 64 * MIB


def test_a_dictionary_that_is_too_large() -> None:
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 512 * MIB, "preset": 0}]
    with pytest.raises(InputError, match="Memory usage limit"):
        unpacked(lzma.compress(DATA, lzma.FORMAT_ALONE, filters=filters))


def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for method, module, hint in (
        ("zstd", "zstandard", "pip install zstandard"),
        ("lz4", "lz4.frame", "pip install lz4"),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            patch.delitem(sys.modules, "warmboot.images.zstd", raising=False)
            with pytest.raises(MissingToolError, match=f"{method} data, and Python's module") as caught:
                unpacked(COMPRESSIONS[method](DATA))
            assert hint in caught.value.hint


# --- large ---------------------------------------------------------------------------------------------------------

LARGE = 400 * MIB

# RLIMIT_DATA counts what is private and writable, and nothing else (setrlimit(2), since Linux 4.7).
WITHIN_64_MIB = """
import resource, sys
from warmboot.images import identify
resource.setrlimit(resource.RLIMIT_DATA, (64 << 20, 64 << 20))
image = identify(sys.argv[1])
print(image.kind, image.wrapping, image.file.nbytes, sum(each.data.nbytes for each in image.segments))
"""


def loaded_end(kernel: ElfImage) -> int:
    """The offset in the file after the last byte that is loaded."""
    segments = ELFFile(io.BytesIO(kernel.file)).iter_segments("PT_LOAD")
    return max(int(each["p_offset"] + each["p_filesz"]) for each in segments)


def large(method: str) -> bytes:
    """A vmlinux with much behind it, as debugging symbols are, packed; as one stream, where that is fast."""
    kernel = bytes(vmlinux("6.12"))
    piece = kernel[: 25 * MIB]
    if method in ("zstd", "lz4"):
        data = kernel + piece * ((LARGE - len(kernel)) // len(piece) + 1)
        return COMPRESSIONS[method](data[:LARGE])
    head, body = kernel + bytes(-len(kernel) % MIB), piece
    count, rest = divmod(LARGE - len(head), len(body))
    pack = COMPRESSIONS[method]
    return pack(head) + pack(body) * count + pack(body[:rest])


@pytest.mark.parametrize("method", ["gzip", "zstd", "lz4", "lz4 legacy"])
def test_a_large_kernel_takes_little_memory_of_its_own(method: str, tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(large(method))
    done = subprocess.run(
        [sys.executable, "-c", WITHIN_64_MIB, path], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stderr == ""
    kernel = identify_bytes(vmlinux("6.12"), "vmlinux")
    assert isinstance(kernel, ElfImage)
    loaded = sum(each.data.nbytes for each in kernel.segments)
    kept = max(loaded_end(kernel) + 16 * MIB, 64 * MIB)  # symbols are checked, and not kept
    assert done.stdout == f"elf-x86_64 ('{method}',) {kept} {loaded}\n"


def test_xz_takes_its_dictionary_and_little_more(tmp_path: Path) -> None:
    zeros = lzma.compress(bytes(100 * MIB), preset=6)
    path = tmp_path / "vmlinux.xz"
    path.write_bytes(COMPRESSIONS["xz"](samples()["elf64"].ljust(MIB, b"\0")) + zeros)
    done = subprocess.run(
        [sys.executable, "-c", WITHIN_64_MIB, path], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stderr == ""
    assert done.stdout.startswith(f"elf-x86_64 ('xz',) {64 * MIB} ")


# --- bombs ---------------------------------------------------------------------------------------------------------

# RLIMIT_FSIZE counts what is written to a file in memory, too; what is refused is told by the last line.
KEEPING_LITTLE = """
import resource, sys
from warmboot.errors import WarmbootError
from warmboot.images import identify
most = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
resource.setrlimit(resource.RLIMIT_DATA, (64 << 20, 64 << 20))
try:
    print(identify(sys.argv[1]).kind)
except WarmbootError as error:
    print(type(error).__name__, error)
"""


def identified(path: Path, most: int) -> str:
    """What `identify` says in a process that may keep so many bytes of what it unpacks."""
    done = subprocess.run(
        [sys.executable, "-c", KEEPING_LITTLE, path, str(most)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.parametrize("method", ["gzip", "zstd", "xz", "lz4", "lz4 legacy"])
def test_gigabytes_of_no_kernel_are_told_by_their_beginning(method: str, tmp_path: Path) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(bomb(method) * 64)  # 4 GiB
    assert (
        identified(path, 0) == f"UnknownFormatError {path}: no kernel: its first bytes are of no format that is "
        f"known (within {method})"
    )


@pytest.mark.parametrize("method", ["gzip", "zstd"])
def test_a_kernel_that_never_ends_is_refused_where_it_should_have_ended(method: str, tmp_path: Path) -> None:
    pack, path = COMPRESSIONS[method], tmp_path / "kernel"
    more = pack(b"\xf4\0" * (32 * MIB)) * 63
    path.write_bytes(pack(demo_kernel()) + more)
    assert identified(path, 64 * MIB) == f"RefusedError {path}: more than 80 MiB when unpacked"
    path.write_bytes(pack(samples()["elf64"]) + more)
    assert identified(path, 64 * MIB) == f"RefusedError {path}: more than 2112 MiB when unpacked"
    path.write_bytes(pack(samples()["elf64"]) + pack(b"\xf4\0" * (32 * MIB)) * 20)  # a vmlinux with many symbols
    assert identified(path, 64 * MIB) == "elf-x86_64"


def test_a_kernel_that_says_it_is_too_large() -> None:
    claims = bytearray(demo_kernel())
    struct.pack_into("<I", claims, 0x1F4, (2 << 30) // 16)
    elf = bytearray(samples()["elf64"])
    struct.pack_into("<QQ", elf, 64 + 32, 3 << 30, 3 << 30)  # p_filesz, p_memsz
    boot = zboot(COMPRESSIONS["zstd"](demo_kernel()), "zstd")[:12] + struct.pack("<I", 3 << 30) + bytes(1000)
    unified = bytearray(samples()["uki"])
    struct.pack_into("<I", unified, 0x40 + 24 + 240 + 16, 0xFFFF_FFF0)  # SizeOfRawData
    for data in (claims, elf, boot, unified):
        with pytest.raises(RefusedError, match=r"kernel: unpacks to a kernel that says it has \d+ bytes, more than"):
            identify_bytes(memoryview(gzip.compress(data)), "kernel")


def test_one_stream_alone() -> None:
    """A file of several archives is no packed file, and loses nothing."""
    for method, pack in COMPRESSIONS.items():
        one, cpio = pack(DATA[:5000]), b"070701" + bytes(1000)
        assert bytes(decompressed(memoryview(one), "module", alone=True)) == DATA[:5000]
        assert bytes(decompressed(memoryview(one + bytes(700)), "module", alone=True)) == DATA[:5000]
        for more in (cpio, bytes(512) + cpio, bytes(3 * MIB) + cpio, *([one] if method != "lzma" else [])):
            data = memoryview(one + more)
            assert decompressed(data, "module", alone=True) is data, (method, more[:6])
